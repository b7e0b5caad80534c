import pytest
import torch

from modulae.core.threads import ONE_THREAD_BELOW, threads_for


def test_small_steps_take_one_thread_and_the_setting_comes_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(ONE_THREAD_BELOW - 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for(ONE_THREAD_BELOW):
            assert torch.get_num_threads() == 2
        with pytest.raises(KeyboardInterrupt), threads_for(1):
            raise KeyboardInterrupt
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
