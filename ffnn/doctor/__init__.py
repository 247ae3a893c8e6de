"""``ffnn doctor``: whether the hosts of an executor can be used, without running a search on them."""
