"""A paragraph and the formula for each kind of network."""

from collections.abc import Iterator

from labmill.report.results import StudyResults
from labmill.report.text import Markdown
from labmill.training.records import ModelDescription

CONVOLUTION = r"""**Convolutional network.** A convolution slides a small window of weights over the
image and computes the same weighted sum at every position. So a pattern is recognised
wherever it is, and a layer needs few weights. Layers are stacked: early ones respond to
edges, later ones to larger parts. Pooling keeps the maximum or mean of neighbouring
positions and makes the picture smaller. A linear layer turns the last features into one
number per class.

$$y_{o,i,j} = b_o + \sum_{c}\sum_{u,v} w_{o,c,u,v}\; x_{c,\,i+u,\,j+v}$$
"""
RESIDUAL = r"""**Residual network.** Each block computes a correction and adds it to its input. The
identity path lets the gradient reach early layers unchanged, so that deep networks can be
trained. Where a block halves the image, a 1×1 convolution adapts the input.

$$y = x + F(x)$$
"""
ATTENTION = r"""In attention, every token asks a query $Q$, and is compared with the keys $K$ of all tokens.
The softmax turns the similarities into weights, with which the values $V$ are averaged.
Several heads do this side by side, each in its own part of the features. A small network
of two layers then works on each token alone; both parts add their result to their input.

$$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V$$
"""
SEPARABLE = r"""**Depthwise separable convolution.** It splits a convolution in two: one filter per channel,
then a 1×1 convolution that mixes the channels. With $C$ outputs and a $k \times k$
window, the share of the operations that remains is

$$\frac{1}{C} + \frac{1}{k^2}$$
"""
PATCHES = r"""**Vision transformer.** The image is cut into patches, and each patch becomes a token: a
vector of features. A table of positions is added, because attention itself does not know
where a token comes from. """
# Model → its paragraphs.
TEXTS = {
    "cnn": [CONVOLUTION],
    "two_conv": [CONVOLUTION],
    "vgg": [CONVOLUTION],
    "speednet": [CONVOLUTION],
    "lenet": [CONVOLUTION, SEPARABLE],
    "mobilenet": [CONVOLUTION, SEPARABLE],
    "resnet": [CONVOLUTION, RESIDUAL],
    "dynamic_cnn": [
        CONVOLUTION,
        r"""**Dynamic convolution.** A block has several convolutions. A second path reads the
block's input, averaged over all positions, and gives each convolution a weight for this
image. The block's output is the weighted sum, so that the network adapts to what it sees.

$$y = \sum_{k} a_k(x)\; \mathrm{ReLU}(\mathrm{conv}_k(x))$$
""",
    ],
    "vit": [PATCHES + ATTENTION],
    "cct": [
        r"""**Compact convolutional transformer.** Convolutions turn the image into tokens, in place
of cutting it into patches, and a learned average of all tokens replaces the class token.
"""
        + ATTENTION
    ],
    "transformer": [
        r"""**Transformer.** An encoder reads the whole input sequence. A decoder writes the output
token by token: it attends to what it has written, later positions being masked, and to the
encoder's output. """
        + ATTENTION
    ],
}


def background(results: StudyResults) -> Iterator[Markdown]:
    """Yield the paragraphs for the study's models, each once, if the study wants them."""
    if not results.study["report"].get("background"):
        return
    found = (results.first(variant, ModelDescription) for variant in results.variants)
    models = dict.fromkeys(one.name for one in found if one)
    texts = dict.fromkeys(text for name in models for text in TEXTS.get(name, ()))
    yield from map(Markdown, texts)
