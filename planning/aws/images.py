"""The machine image: where AWS publishes the newest one, and what its root volume is called."""

from typing import Final

PARAMETER: Final = (
    "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
)
"""Parameter of Systems Manager: id of the newest Deep Learning Base AMI, which has driver and EFA."""

ROOT_DEVICE: Final = "/dev/sda1"
"""Root of every Ubuntu image, as AWS's is one. Of another image EC2 is asked."""
