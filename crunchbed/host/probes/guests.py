"""Probes of what virtual machines need: kernels that were built, with drivers for cards."""

from __future__ import annotations

from crunchbed.backends.machines import images
from crunchbed.host.probes.machine import Machine, Seen
from crunchbed.host.probes.system import Probe


def kernel(name: str) -> Probe:
    """Whether a kernel for machines is built."""

    def probe(_machine: Machine) -> Seen:
        image = images.find(name)
        if image is not None:
            return Seen(present=True, detail=image.release)
        others = ", ".join(images.names()) or "none"
        return Seen(present=False, detail=f"{name} is not in {images.directory()}; built: {others}")

    return probe


def iscsi(kernel_name: str) -> Probe:
    """Whether a kernel for machines was built with open-iscsi; one that is not built, was."""

    def probe(_machine: Machine) -> Seen:
        if images.find(kernel_name) is None or images.find(kernel_name, variant="iscsi"):
            return Seen(present=True, detail="open-iscsi")
        return Seen(present=False, detail=f"{kernel_name} was built without open-iscsi")

    return probe


def nvme(kernel_name: str) -> Probe:
    """Whether a kernel for machines has both sides of NVMe/TCP; one that is not built, has."""

    def probe(_machine: Machine) -> Seen:
        both = ("nvme-tcp", images.STORAGE)
        if images.find(kernel_name) is None or all(
            images.find(kernel_name, variant=variant) for variant in both
        ):
            return Seen(present=True, detail="nvme-tcp, nvmet-tcp")
        return Seen(present=False, detail=f"{kernel_name} has no nvme-tcp, nvmet-tcp and virtio")

    return probe


def card(kernel_name: str, nic: str) -> Probe:
    """Whether a kernel for machines has a driver for a card; a kernel that is not built has all."""

    def probe(_machine: Machine) -> Seen:
        image = images.find(kernel_name)
        if image is None or nic in image.cards:
            return Seen(present=True, detail=nic)
        return Seen(present=False, detail=f"{kernel_name} has {', '.join(image.cards)}")

    return probe


def corosync(kernel_name: str) -> Probe:
    """Whether a kernel for machines was built with corosync; one that is not built, was."""

    def probe(_machine: Machine) -> Seen:
        if images.find(kernel_name) is None or images.find(kernel_name, variant="corosync"):
            return Seen(present=True, detail="corosync")
        return Seen(present=False, detail=f"{kernel_name} was built without corosync")

    return probe
