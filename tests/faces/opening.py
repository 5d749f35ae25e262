"""Opens the readers of conf/face on folders of tests."""

from hydra import compose, initialize_config_module
from hydra.utils import instantiate


def opened(name, root, **changes):
    with initialize_config_module("gaze.conf"):
        config = compose(f"face/{name}").face
    values = {key: value for key, value in config.items_ex(resolve=False) if key != "root"} | changes
    return instantiate(values, root=str(root), _convert_="object", _execution_whitelist_=["gaze.faces.*"])
