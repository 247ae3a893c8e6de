# $distribution
$description.

```console
$$ python -m pip install -e '.[test]'
$$ ffnn plugins --check
$$ pytest
```
