from typing import Any

class Tags:
    input_tags: Any
    target_tags: Any
    classifier_tags: Any
    regressor_tags: Any

def __getattr__(name: str) -> Any: ...
