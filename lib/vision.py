"""Image encoders without a text tower: what `encoders.load` makes of a folder whose model has no text_cfg (`ssl`)."""

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

HEAD_WIDTH = 64  # open_clip's, where a config names none


class ImageModel(nn.Module):
    """An open_clip VisionTransformer as `visual`. Its feature is the class token behind ln_post, not projected."""

    def __init__(self, model_cfg: dict):
        super().__init__()
        vision = dict(model_cfg["vision_cfg"])
        size, patch, width, layers = (vision.pop(key) for key in ("image_size", "patch_size", "width", "layers"))
        heads = width // vision.pop("head_width", HEAD_WIDTH)
        if vision or model_cfg["embed_dim"] != width:
            odd = f"vision_cfg {', '.join(vision)}" if vision else f"embed_dim {model_cfg['embed_dim']} beside {width}"
            raise ValueError(f"an encoder without texts is a plain VisionTransformer; {odd} is not provided for")
        self.visual = VisionTransformer(size, patch, width, layers, heads, 4.0, output_dim=width)
        self.visual.proj = None

    def encode_image(self, pixels: Tensor, normalize: bool = False) -> Tensor:
        """Features [N, width] of pixels [N,3,H,W], unit rows if `normalize`."""
        features = self.visual(pixels)
        return nn.functional.normalize(features, dim=-1) if normalize else features


def create(model_cfg: dict, seed: int) -> ImageModel:
    """An ImageModel on the CPU, weights drawn from `seed` alone; the global state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ImageModel(model_cfg)
