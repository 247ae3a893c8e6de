

@hookimpl
def $hook() -> dict[str, str]:
    """Name the ${kind}s."""
    return {"$name": "$package.$kind:$cls"}
