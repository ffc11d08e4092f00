"""Convolutions one after the other, as in LeNet, AlexNet and VGG."""

from __future__ import annotations

from torch import nn

from rpusim.workloads.zoo.named import named


def lenet_2017() -> nn.Module:
    """Build the convolutional network of Gokmen, Onen & Haensch 2017 on 28 x 28 images: tanh, max pooling, log-softmax.

    Arrays (bias column included) 16 x 26, 32 x 401, 128 x 513, 10 x 129: 80,202 weights; 576, 64, 1 and 1 vectors.
    """
    return named(
        conv1=nn.Conv2d(1, 16, 5),
        tanh1=nn.Tanh(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 5),
        tanh2=nn.Tanh(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(512, 128),
        tanh3=nn.Tanh(),
        fc2=nn.Linear(128, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def lenet_digits() -> nn.Module:
    """Build the same on 8 x 8 images: 3 x 3 kernels, both convolutions padded, pooling after each.

    Arrays (bias column included) 16 x 10, 32 x 145, 64 x 129, 10 x 65: 13,706 weights; 64, 16, 1 and 1 vectors.
    """
    return named(
        conv1=nn.Conv2d(1, 16, 3, padding=1),
        tanh1=nn.Tanh(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 3, padding=1),
        tanh2=nn.Tanh(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(128, 64),
        tanh3=nn.Tanh(),
        fc2=nn.Linear(64, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def alexnet() -> nn.Module:
    """Build AlexNet in one tower, as mapped in Gokmen, Onen & Haensch 2017: 227 x 227 images, 1000 classes.

    Arrays (without bias) 96 x 363, 256 x 2400, 384 x 2304, 384 x 3456, 256 x 3456, 4096 x 9216, 4096 x 4096,
    1000 x 4096; 3025, 729, 169, 169, 169, 1, 1 and 1 vectors. Local response normalisation is left out.
    """
    return named(
        conv1=nn.Conv2d(3, 96, 11, stride=4),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, stride=2),
        conv2=nn.Conv2d(96, 256, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(3, stride=2),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(),
        conv4=nn.Conv2d(384, 384, 3, padding=1),
        relu4=nn.ReLU(),
        conv5=nn.Conv2d(384, 256, 3, padding=1),
        relu5=nn.ReLU(),
        pool3=nn.MaxPool2d(3, stride=2),
        flatten=nn.Flatten(),
        dropout1=nn.Dropout(),
        fc1=nn.Linear(9216, 4096),
        relu6=nn.ReLU(),
        dropout2=nn.Dropout(),
        fc2=nn.Linear(4096, 4096),
        relu7=nn.ReLU(),
        fc3=nn.Linear(4096, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def rapa_cifar() -> nn.Module:
    """Build three convolutions with pooling and a readout, for 32 x 32 images (Rasch, Gokmen, Rigotti & Haensch 2019).

    Arrays (bias column included) 32 x 76, 32 x 801, 64 x 801, 10 x 1025; 1024, 256, 64 and 1 vectors.
    """
    return named(
        conv1=nn.Conv2d(3, 32, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 32, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        conv3=nn.Conv2d(32, 64, 5, padding=2),
        relu3=nn.ReLU(),
        pool3=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc=nn.Linear(1024, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def vgg8() -> nn.Module:
    """Build the default network of DNN+NeuroSim V2 for CIFAR-10: six 3 x 3 convolutions, two linear layers, no biases.

    Arrays 128 x 27, 128 x 1152, 256 x 1152, 256 x 2304, 512 x 2304, 512 x 4608, 1024 x 8192, 10 x 1024: 12,973,440
    weights; 1024, 1024, 256, 256, 64, 64, 1 and 1 vectors.
    """
    layers: list[tuple[str, nn.Module]] = []
    for block, (before, after) in enumerate([(3, 128), (128, 256), (256, 512)], start=1):
        for half, inputs in (("a", before), ("b", after)):
            layers.append((f"conv{block}{half}", nn.Conv2d(inputs, after, 3, padding=1, bias=False)))
            layers.append((f"relu{block}{half}", nn.ReLU()))
        layers.append((f"pool{block}", nn.MaxPool2d(2)))
    return named(
        **dict(layers),
        flatten=nn.Flatten(),
        fc1=nn.Linear(8192, 1024, bias=False),
        relu4=nn.ReLU(),
        fc2=nn.Linear(1024, 10, bias=False),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def vgg16() -> nn.Module:
    """Build VGG-16 (Simonyan & Zisserman 2015, configuration D) for 224 x 224 images and 1000 classes.

    138,357,544 parameters: thirteen 3 x 3 convolutions and three linear layers.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs = 3
    for block, (outputs, convolutions) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        for letter in "abc"[:convolutions]:
            layers.append((f"conv{block}{letter}", nn.Conv2d(inputs, outputs, 3, padding=1)))
            layers.append((f"relu{block}{letter}", nn.ReLU()))
            inputs = outputs
        layers.append((f"pool{block}", nn.MaxPool2d(2)))
    return named(
        **dict(layers),
        flatten=nn.Flatten(),
        fc1=nn.Linear(25088, 4096),
        relu6=nn.ReLU(),
        dropout1=nn.Dropout(),
        fc2=nn.Linear(4096, 4096),
        relu7=nn.ReLU(),
        dropout2=nn.Dropout(),
        fc3=nn.Linear(4096, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )
