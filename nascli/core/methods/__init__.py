"""The search methods, a file each. None imports another; `nascli.registry` names them."""
