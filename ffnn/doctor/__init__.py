"""The command ``ffnn doctor``, which checks whether the hosts of an executor are usable."""
