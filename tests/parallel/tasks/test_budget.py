from __future__ import annotations

import joblib

from ffnn.parallel.tasks.budget import THREAD_VARIABLES, cpu_count, gpu_variables, thread_variables


def test_cpus_are_those_that_this_process_may_use() -> None:
    assert cpu_count() == joblib.cpu_count()


def test_every_library_is_bounded() -> None:
    changes = thread_variables(2, {}, explicit=False)
    assert all(changes[name] == "2" for name in THREAD_VARIABLES)
    assert changes["LOKY_MAX_CPU_COUNT"] == "2"


def test_the_users_own_variables_hold_unless_a_number_was_asked_for() -> None:
    environment = {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": ""}
    changes = thread_variables(2, environment, explicit=False)
    assert "OMP_NUM_THREADS" not in changes
    assert changes["MKL_NUM_THREADS"] == "2"
    assert thread_variables(2, environment, explicit=True)["OMP_NUM_THREADS"] == "2"


def test_each_worker_gets_one_gpu_in_turn() -> None:
    assert [gpu_variables(slot, ["3", "5"])["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["3", "5", "3"]
    assert "CUDA_VISIBLE_DEVICES" not in gpu_variables(0, ["0"])
    assert gpu_variables(0, []) == {}
