"""A recorded GPU is watched: what NVML says comes out, and each fault fires its own check."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_profiling_validity import LIMITS

from m1.profiling.checks.machine import check_machine
from m1.profiling.machine.gpu import NotMeasuredError, NvmlGpu, find_gpu
from m1.profiling.machine.watch import MachineWatch
from m1.schemas.profile import MachineState

IDLE, SETTING, POWER, THERMAL = 0x01, 0x02, 0x04, 0x40
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


class NvmlError(Exception):
    """What NVML raises."""


class Nvml:
    """Answers as a GPU did: one dictionary for each look, `None` where it has no answer."""

    NVMLError = NvmlError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, looks: Iterator[dict[str, Any]]) -> None:
        self.looks = looks

    def nvmlDeviceGetUtilizationRates(self, _: object) -> Any:  # noqa: N802 (NVML's name)
        self.now = next(self.looks)
        return SimpleNamespace(gpu=self._told("utilisation"))

    def nvmlDeviceGetPowerUsage(self, _: object) -> Any:  # noqa: N802
        return self._told("power")

    def nvmlDeviceGetCurrentClocksEventReasons(self, _: object) -> Any:  # noqa: N802
        return self._told("reasons")

    def nvmlDeviceGetComputeRunningProcesses(self, _: object) -> Any:  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid in self._told("pids")]

    def nvmlDeviceGetClockInfo(self, _: object, kind: int) -> Any:  # noqa: N802
        return self._told("sm" if kind == self.NVML_CLOCK_SM else "memory")

    def nvmlDeviceGetTemperature(self, _: object, __: int) -> Any:  # noqa: N802
        return self._told("temperature")

    def _told(self, name: str) -> Any:
        if self.now[name] is None:
            raise NvmlError("not supported")
        return self.now[name]


def look(**changes) -> dict[str, Any]:
    quiet = {
        "utilisation": 90,
        "power": 210_000,
        "reasons": SETTING,
        "pids": [os.getpid()],
        "sm": 1980,
        "memory": 3201,
        "temperature": 41,
    }
    return quiet | changes


class Time:
    """A clock that moves on as it is told."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watched(looks, every_s=1.0, look_s=0.0) -> MachineState:
    """Requests end `every_s` apart, as many as looks were recorded; a look takes `look_s`."""
    time = Time()

    def passing() -> Iterator[dict[str, Any]]:
        for one in looks:
            time.now_s += look_s
            yield one

    watch = MachineWatch(CUDA, gpu=NvmlGpu(Nvml(passing()), "gpu"), now=time)
    for _ in looks:
        watch.look()
        time.now_s += every_s
    return watch.state()


def failed(state) -> list[str]:
    return [check.name for check in check_machine(state, LIMITS) if not check.passed]


def values(state) -> dict[str, float | None]:
    return {check.name: check.value for check in check_machine(state, LIMITS)}


def quiet(state) -> MachineState:
    """Without the machine that the test runs on."""
    return state.model_copy(update={"cpu_others_share": 0.0, "cpu_mhz": None})


def test_what_nvml_says_is_recorded() -> None:
    gpu = watched([look(sm=1900, power=200_000), look(), look(sm=1990, temperature=44)]).gpu
    assert gpu is not None
    assert (gpu.n_samples, gpu.n_samples_at_work, gpu.other_processes) == (3, 3, 0)
    assert gpu.sm_mhz is not None
    assert (gpu.sm_mhz.low, gpu.sm_mhz.median, gpu.sm_mhz.high) == (1900, 1980, 1990)
    assert gpu.power_w is not None
    assert (gpu.power_w.low, gpu.power_w.high) == (200, 210)
    assert gpu.temperature_c is not None
    assert gpu.temperature_c.high == 44
    assert gpu.clock_reasons == {"clock setting": 1.0}


def test_a_quiet_gpu_passes_and_each_check_has_a_value() -> None:
    state = quiet(watched([look()] * 20))
    assert failed(state) == []
    found = values(state)
    assert (found["gpu_neighbours"], found["throttling"], found["clocks"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"pids": [os.getpid(), 7]}, "gpu_neighbours"),
        ({"reasons": THERMAL}, "throttling"),
        ({"reasons": POWER | SETTING}, "throttling"),
        ({"sm": 1500}, "clocks"),
    ],
)
def test_a_fault_in_a_tenth_of_the_run_fires_its_own_check(fault, name) -> None:
    state = quiet(watched([look()] * 27 + [look(**fault)] * 3))
    assert failed(state) == [name]


def test_one_odd_reading_of_the_clock_is_no_spread() -> None:
    assert failed(quiet(watched([look()] * 39 + [look(sm=345)]))) == []


def test_clocks_of_an_idle_gpu_do_not_count() -> None:
    idle = look(sm=345, utilisation=0, reasons=IDLE)
    state = quiet(watched([look(), idle] * 10))
    assert failed(state) == []
    assert state.gpu is not None
    assert (state.gpu.n_samples, state.gpu.n_samples_at_work) == (20, 10)


def test_in_a_container_one_process_of_another_number_is_our_own() -> None:
    assert values(watched([look(pids=[123456])]))["gpu_neighbours"] == 0
    assert values(watched([look(pids=[123456, 7])]))["gpu_neighbours"] == 1


def test_hidden_processes_are_not_measured() -> None:
    state = watched([look(pids=[])])
    assert values(state)["gpu_neighbours"] is None
    assert failed(quiet(state)) == []


def test_what_a_gpu_does_not_tell_is_not_measured() -> None:
    silent = dict.fromkeys(look(), None)
    state = quiet(watched([silent] * 3))
    assert values(state) | {"neighbours": None} == dict.fromkeys(values(state))
    assert "this GPU does not report it" in check_machine(state, LIMITS)[-1].detail


def n_samples(state) -> int:
    assert state.gpu is not None
    return state.gpu.n_samples


def test_looks_are_a_second_apart_however_short_requests_are() -> None:
    assert n_samples(watched([look()] * 41, every_s=0.125)) == 6


def test_slow_looks_take_a_fiftieth_of_the_run_at_the_most() -> None:
    assert n_samples(watched([look()] * 100, every_s=1, look_s=0.5)) == 4


def test_a_run_on_the_cpu_has_no_gpu_and_says_so() -> None:
    watch = MachineWatch(CPU)
    watch.look()
    state = watch.state()
    assert state.gpu is None
    checks = {check.name: check for check in check_machine(quiet(state), LIMITS)}
    assert checks["clocks"].value is None
    assert checks["clocks"].detail == "the GPU's clock not measured: no GPU in use"


def test_without_a_driver_a_gpu_is_not_measured() -> None:
    def fail() -> None:
        raise NvmlError("driver not loaded")

    broken = SimpleNamespace(nvmlInit=fail, NVMLError=NvmlError)
    with pytest.raises(NotMeasuredError, match=r"NVML does not start \(driver not loaded\)"):
        find_gpu(CUDA, broken)


def test_without_the_library_a_gpu_is_not_measured(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert "NVML does not start" in str(MachineWatch(CUDA).state().gpu_not_measured)
