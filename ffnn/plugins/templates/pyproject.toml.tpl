[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "$description"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["ffnn"]

[project.optional-dependencies]
test = ["pytest>=8.2"]

[project.entry-points.ffnn]
$name = "$package"

[tool.hatch.build.targets.wheel]
packages = ["$package"]
