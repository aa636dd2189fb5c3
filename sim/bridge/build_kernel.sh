#!/bin/sh
# build_kernel.sh SOURCE WORK CONFIG JOBS RESULT
# SOURCE: a linux-source archive, or a kernel tree, which is left as it is. Builds ARCH=um with
# tinyconfig and CONFIG in WORK, incrementally, and puts the kernel at RESULT. Says what it compiles.
set -eu
source=$1 work=$2 config=$3 jobs=$4 result=$5
mkdir -p "$work"
if [ -f "$source" ]; then
  tree=$work/tree
  if [ ! -e "$tree/.unpacked" ]; then
    rm -rf "$tree"
    mkdir "$tree"
    # What no configuration of ours compiles is left out; Kconfig files and Makefiles stay.
    set --
    for part in Documentation tools/testing arch/arm arch/arm64 arch/powerpc arch/mips arch/s390 \
      arch/sparc arch/m68k arch/sh arch/alpha arch/parisc arch/ia64 arch/riscv drivers/gpu \
      drivers/net drivers/media drivers/staging drivers/infiniband drivers/scsi drivers/iio \
      drivers/usb sound fs/btrfs fs/xfs; do
      for kind in c h S rst yaml dts dtsi txt; do set -- "$@" "--exclude=*/$part/*.$kind"; done
    done
    echo "unpacking $source"
    tar -xf "$source" -C "$tree" --strip-components=1 "$@"
    touch "$tree/.unpacked"
  fi
else
  tree=$source
fi
build=$work/build
mkdir -p "$build"
if ! cmp -s "$config" "$build/nvmesim.config"; then
  make -s -C "$tree" ARCH=um O="$build" tinyconfig
  (cd "$tree" && scripts/kconfig/merge_config.sh -m -O "$build" "$build/.config" "$config") >/dev/null
  make -s -C "$tree" ARCH=um O="$build" olddefconfig
  cp "$config" "$build/nvmesim.config"
fi
grep -q '^CONFIG_UML_PCI_OVER_VIRTIO=y' "$build/.config" &&
  grep -q '^CONFIG_UML_TIME_TRAVEL_SUPPORT=y' "$build/.config" &&
  grep -q '^CONFIG_BLK_DEV_NVME=y' "$build/.config" || {
  echo "this kernel has no PCI over virtio, no time travel or no NVMe driver for ARCH=um" >&2
  exit 1
}
make -C "$tree" ARCH=um O="$build" -j "$jobs" linux
cp "$build/linux" "$result.new"
mv "$result.new" "$result"
