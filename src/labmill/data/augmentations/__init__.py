"""Further augmentations: one file each; the folder is the registry.

`augment(images, draws, …)` gets uint8 images (B, C, H, W) and `DRAWS` uniform numbers per
image (1 where the file has none), float32 (B, DRAWS) in 0..1, on one device, and returns
images of the same shape. One that also takes `partners`, another image for each, mixes
them: it returns images and the share (B,) of each that is its own. What happens to an
image depends on its draws alone. They are applied in the order of `POSITION` (0 where the
file has none), then of names; those that mix come last.
"""
