# SPDX-License-Identifier: GPL-2.0-or-later
# What qemu-system-x86_64 of this project has besides the processor: one
# machine, what a guest needs to boot from memory, and the NPU.
CONFIG_Q35=y
CONFIG_PCIE_PORT=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_9P=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_RNG=y
CONFIG_VTD=y
CONFIG_ISA_DEBUG=y
CONFIG_TEST_DEVICES=y
CONFIG_NPU=y
