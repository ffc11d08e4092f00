"""The networks of the zoo by name: those that papers of the field were measured on, and those that people run.

Each is a plain torch module with torch's own initial weights and float32, of a family that has a file of its own; on
``torch.device("meta")`` it allocates nothing. `build` finds one by name. Classifiers end in a log-softmax over the
classes, so their loss is `torch.nn.NLLLoss`; language models end in scores.

>>> module, input_shape = build("lenet-digits")
>>> input_shape
(1, 8, 8)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rpusim.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import nn

    from rpusim.workloads.zoo.language_models import Tokens


@dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    builder:      makes the module, with torch's own initial weights.
    input_shape:  of one sample, or whatever else `rpusim.capture` takes for it; types of numbers by name.
    title:        what it is, in a line.
    source:       where the network comes from.
    writes:       of language models: makes the module for given tokens, to read a prompt or to write; None: of others.
    experts:      of a mixture of experts, how many a token may go to.
    """

    builder: Callable[[], nn.Module]
    input_shape: tuple[Any, ...]
    title: str
    source: str
    writes: Callable[[Tokens], nn.Module] | None = None
    experts: int = 0


def _made(where: str, *given: Any, **named: Any) -> Callable[..., nn.Module]:
    """Return what calls a class or function of this room, ``module.name``, which only then imports it, and torch."""

    def make(*more: Any) -> nn.Module:
        module, name = where.split(".")
        return getattr(import_module(f"rpusim.workloads.zoo.{module}"), name)(*given, *more, **named)  # type: ignore[no-any-return]

    return make


def _language_model(where: str, tokens: int, title: str, source: str, experts: int = 0) -> Entry:
    model = _made(where)

    def whole() -> nn.Module:
        from rpusim.workloads.zoo.language_models import Tokens

        return model(Tokens(tokens))

    return Entry(whole, ((tokens,), "int64"), title, source, model, experts)


def _characters(state: int) -> Entry:
    return Entry(
        _made("recurrent.CharacterModel", state),
        (100, 87),
        f"A character model of two LSTM layers with {state} values each, 87 symbols (Gokmen, Rasch & Haensch 2018)",
        "Gokmen, Rasch & Haensch 2018, Front. Neurosci. 12:745: LSTM2 on War and Peace; 100 steps as in aihwkit",
    )


_FCN = "Gokmen & Vlasov 2016, Front. Neurosci. 10:333"
_CNN = "Gokmen, Onen & Haensch 2017, Front. Neurosci. 11:538"
_FCN_TITLE = "The fully connected network of Gokmen & Vlasov 2016: sigmoid layers of 256 and 128, log-softmax out"
NETWORKS: dict[str, Entry] = {
    "fcn": Entry(_made("perceptrons.fcn"), (784,), _FCN_TITLE, f"{_FCN}: 784-256-128-10 on MNIST"),
    "fcn-digits": Entry(
        _made("perceptrons.fcn", 64), (64,), _FCN_TITLE, f"the hidden layers of {_FCN}, on 8 x 8 digits"
    ),
    "fcn-large": Entry(
        _made("perceptrons.fcn_large"),
        (784,),
        "A fully connected network of 3.7 million weights: ReLU layers of 2,048 and 1,024, log-softmax out",
        "sizes of ours, for Rasch, Gokmen & Haensch 2019 (arXiv:1906.02698), which asks how large networks learn",
    ),
    "lenet-2017": Entry(
        _made("convolutions.lenet_2017"),
        (1, 28, 28),
        "The convolutional network of Gokmen, Onen & Haensch 2017 on 28 x 28 images: tanh, max pooling, log-softmax",
        f"{_CNN}: the network trained on MNIST",
    ),
    "lenet-digits": Entry(
        _made("convolutions.lenet_digits"),
        (1, 8, 8),
        "The same idea on 8 x 8 images: 3 x 3 kernels, both convolutions padded, pooling after each",
        f"after {_CNN}, cut by us to 8 x 8 digits",
    ),
    "rapa-cifar": Entry(
        _made("convolutions.rapa_cifar"),
        (3, 32, 32),
        "Three convolutions with pooling on 32 x 32 images, as in Rasch, Gokmen, Rigotti & Haensch 2019, and a readout",
        "Rasch, Gokmen, Rigotti & Haensch 2019, Front. Neurosci. 13:753; channels recalled",
    ),
    "lstm-text": Entry(
        _made("text.lstm_text"),
        (32, 96),
        "Two layers of LSTM of width 64 that tell the next character of a text, from 32 before it",
        "after Gokmen, Rasch & Haensch 2018, Front. Neurosci. 12:745, which has two layers of 64; alphabet of ours",
    ),
    "lstm-text-dropout": Entry(
        _made("text.lstm_text", 0.2),
        (32, 96),
        "The same two layers of LSTM, with dropout of 0.2 between and behind them",
        "after Gokmen, Rasch & Haensch 2018, Front. Neurosci. 12:745; dropout as in aihwkit's example of it",
    ),
    "transformer-text": Entry(
        _made("text.transformer_text"),
        ((32,), "int64"),
        "Two blocks of a transformer of width 32 that tell the next character of a text, from 32 before it",
        "after Radford et al. 2019 (GPT-2): its block, norms first; sizes of ours",
    ),
    "vgg8": Entry(
        _made("convolutions.vgg8"),
        (3, 32, 32),
        "The default network of DNN+NeuroSim V2 for CIFAR-10: six 3 x 3 convolutions, two linear layers, no biases",
        "DNN+NeuroSim V2.1 (NetWork.csv): its default training network on CIFAR-10",
    ),
    "resnet20": Entry(
        _made("residual.resnet20"),
        (3, 32, 32),
        "ResNet-20 (He et al. 2016) for 32 x 32 images and 10 classes, 1 x 1 convolutions where sizes change",
        "He, Zhang, Ren & Sun 2016, CVPR: deep residual learning, section 4.2 (with shortcuts of option B)",
    ),
    "resnet50": Entry(
        _made("residual.resnet50"),
        (3, 224, 224),
        "ResNet-50 (He et al. 2016) for 224 x 224 images and 1000 classes, strides in the 3 x 3 convolutions",
        "He, Zhang, Ren & Sun 2016, CVPR: deep residual learning, 50 layers",
    ),
    "alexnet": Entry(
        _made("convolutions.alexnet"),
        (3, 227, 227),
        "AlexNet in one tower, as mapped in Gokmen, Onen & Haensch 2017: 227 x 227 images, 1000 classes",
        f"{_CNN}: the mapping example, after Krizhevsky et al. 2012",
    ),
    "vgg16": Entry(
        _made("convolutions.vgg16"),
        (3, 224, 224),
        "VGG-16 (Simonyan & Zisserman 2015) for 224 x 224 images and 1000 classes: 13 convolutions, 3 linear layers",
        "Simonyan & Zisserman 2015, ICLR: configuration D; 138,357,544 parameters",
    ),
    "resnet18": Entry(
        _made("residual.resnet18"),
        (3, 224, 224),
        "ResNet-18 (He et al. 2016) for 224 x 224 images and 1000 classes",
        "He, Zhang, Ren & Sun 2016, CVPR: deep residual learning, 18 layers; 11,689,512 parameters",
    ),
    "mobilenet-v2": Entry(
        _made("mobile.mobilenet_v2"),
        (3, 224, 224),
        "MobileNet-V2 (Sandler et al. 2018) for 224 x 224 images and 1000 classes, convolutions channel by channel",
        "Sandler, Howard, Zhu, Zhmoginov & Chen 2018, CVPR: inverted residuals; 3,504,872 parameters",
    ),
    "unet": Entry(
        _made("unet.UNet"),
        (1, 256, 256),
        "The U-Net of Ronneberger, Fischer & Brox 2015 with padded convolutions, 256 x 256 images, two classes",
        "Ronneberger, Fischer & Brox 2015, MICCAI: 31 million parameters; padding and the size of images are ours",
    ),
    "convnext-t": Entry(
        _made("mobile.convnext_t"),
        (3, 224, 224),
        "ConvNeXt-T (Liu et al. 2022) for 224 x 224 images and 1000 classes",
        "Liu, Mao, Wu, Feichtenhofer, Darrell & Xie 2022, CVPR: a ConvNet for the 2020s; 28,589,128 parameters",
    ),
    **{f"lstm2-{state}": _characters(state) for state in (64, 128, 256, 512)},
    "lstm-ptb": Entry(
        _made("recurrent.WordModel"),
        ((35,), "int64"),
        "A word model of two LSTM layers with 650 values each on 35 words (medium, Zaremba et al. 2014)",
        "Zaremba, Sutskever & Vinyals 2014, arXiv 1409.2329: the medium model, 10000 words of Penn Treebank",
    ),
    "transformer-encoder": Entry(
        _made("encoders.encoder"),
        (128, 512),
        "The encoder of the base transformer of Vaswani et al. 2017: six layers of width 512, 128 tokens",
        "Vaswani et al. 2017, NeurIPS: attention is all you need; 18,914,304 parameters, tables aside",
    ),
    "vit-s": Entry(
        _made("encoders.VisionTransformer", 384, 12, 6),
        (3, 224, 224),
        "ViT-S/16 for 224 x 224 images and 1000 classes: 12 blocks of width 384",
        "Dosovitskiy et al. 2021, ICLR, in the size of Touvron et al. 2021 (DeiT-S); 22,050,664 parameters",
    ),
    "vit-l": Entry(
        _made("encoders.VisionTransformer", 1024, 24, 16),
        (3, 224, 224),
        "ViT-L/16 (Dosovitskiy et al. 2021) for 224 x 224 images and 1000 classes: 24 blocks of width 1024",
        "Dosovitskiy et al. 2021, ICLR: an image is worth 16 x 16 words; 304,326,632 parameters",
    ),
    "bert-base": Entry(
        _made("encoders.Bert"),
        ((128,), "int64"),
        "BERT base (Devlin et al. 2019) on 128 tokens, with its pooler: 12 blocks of width 768",
        "Devlin, Chang, Lee & Toutanova 2019, NAACL: 109,482,240 parameters with 30522 words",
    ),
    "albert-base": Entry(
        _made("encoders.Bert", words=30000, table=128, shared=True),
        ((128,), "int64"),
        "ALBERT base (Lan et al. 2020) on 128 tokens: 12 uses of one block of width 768",
        "Lan et al. 2020, ICLR: 11,683,584 parameters with 30000 words",
    ),
    "gpt2": _language_model(
        "language_models.gpt2",
        1024,
        "GPT-2 (Radford et al. 2019), the small one, on 1024 tokens: 12 blocks of width 768, readout tied to the words",
        "Radford et al. 2019, language models are unsupervised multitask learners: 124,439,808 parameters",
    ),
    "llama-7b": _language_model(
        "language_models.llama_7b",
        2048,
        "Llama 7B (Touvron et al. 2023) on 2048 tokens: 32 blocks of width 4096, rotary places, gated layers",
        "Touvron et al. 2023, arXiv 2302.13971: 6,738,415,616 parameters",
    ),
    "moe-small": _language_model(
        "language_models.moe_small",
        1024,
        "A mixture of experts on 1024 tokens: GPT-2 of width 512 and 8 blocks, 2 of 8 experts for each token",
        "ours, after Shazeer et al. 2017, ICLR, and Fedus et al. 2022, JMLR 23:120",
        experts=8,
    ),
    "dlrm-small": Entry(
        _made("recommenders.Dlrm"),
        ((13,), ((26,), "int64")),
        "A DLRM (Naumov et al. 2019) of 13 numbers and 26 tables of 10000 rows, products of all pairs",
        "Naumov et al. 2019, arXiv 1906.00091: layers of its Criteo Kaggle run; the tables are cut by us",
    ),
}


def build(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Build a network by name: a fresh module, and the shape of one sample.

    name: one of `NETWORKS`, or ``file.py:function`` for a function of the user's own, without arguments, that returns
          (module, input_shape); the file is run as a program, with the user's rights. Its input_shape may be whatever
          `rpusim.capture` takes: one shape, several, shapes with dtypes, examples. Other kinds of files and names are
          told in `rpusim.workloads.zoo.given.kinds`.

    Torch's random state settles the weights. Raises InputError with the nearest name if there is no such network, and
    if the user's function does not return what it should.
    """
    from rpusim.workloads.zoo.given import kinds

    if (found := kinds.built(name)) is not None:
        return found
    if name not in NETWORKS:
        raise InputError(f"no network {name!r}{nearest(name, NETWORKS)}; or give {kinds.ACCEPTED}")
    return NETWORKS[name].builder(), _typed(NETWORKS[name].input_shape)


def _typed(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put torch's types of numbers in the place of their names."""
    import torch

    within = (_typed(each) if isinstance(each, tuple) else each for each in shape)
    return tuple(getattr(torch, each) if isinstance(each, str) else each for each in within)
