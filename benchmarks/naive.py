"""The loops that labmill is measured against: the reports' own, and Lightning's."""

import math
import time
import warnings

import torch
from cases import Case
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    """As torchvision's datasets do it: an array to a PIL image to a tensor, one by one."""

    def __init__(self, case: Case, steps: int) -> None:
        from torchvision import transforms

        data = case.data(steps)
        self.images = data.images.transpose(0, 2, 3, 1).squeeze()
        self.labels = data.labels.tolist()
        half = (0.5,) * case.channels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(half, half)]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        image = Image.fromarray(self.images[index])
        return self.transform(image), self.labels[index]


def loader(case: Case, steps: int) -> DataLoader:
    return DataLoader(
        Pictures(case, steps), batch_size=case.batch, shuffle=True, num_workers=2
    )


class LoopedAttention(nn.Module):
    """Attention as the first report wrote it: a loop over sequences and over heads."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.width = dim // heads
        self.q, self.k, self.v = (
            nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(heads))
            for _ in range(3)
        )

    def forward(self, sequences: Tensor) -> Tensor:
        results = []
        for sequence in sequences:
            heads = []
            for number, (q, k, v) in enumerate(
                zip(self.q, self.k, self.v, strict=True)
            ):
                part = sequence[:, number * self.width : (number + 1) * self.width]
                scores = q(part) @ k(part).T / math.sqrt(self.width)
                heads.append(scores.softmax(-1) @ v(part))
            results.append(torch.hstack(heads))
        return torch.stack(results)


class LoopedBlock(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.attention = LoopedAttention(dim, heads)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class LoopedViT(nn.Module):
    """The first report's transformer, its heads in a loop."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        a = case.arguments
        self.patch = a["patch"]
        tokens = (case.size // self.patch) ** 2
        self.embed = nn.Linear(case.channels * self.patch**2, a["dim"])
        self.token = nn.Parameter(torch.rand(1, 1, a["dim"]))
        self.positions = nn.Parameter(
            torch.rand(1, tokens + 1, a["dim"]), requires_grad=False
        )
        blocks = (LoopedBlock(a["dim"], a["heads"]) for _ in range(a["depth"]))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(a["dim"], case.classes)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
        tokens = torch.cat((self.token.expand(len(x), -1, -1), self.embed(patches)), 1)
        return self.head(self.blocks(tokens + self.positions)[:, 0]).softmax(-1)


class Naive:
    """Data loader with two workers, eager steps, the loss read at every step."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model = LoopedViT(case) if case.model == "vit" else case.network()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)

    def images_per_second(self, steps: int) -> float:
        """Without the first two steps, in which the workers start."""
        self.model.train()
        total, began = 0.0, 0.0
        for number, (x, y) in enumerate(loader(self.case, steps + 2)):
            if number == 2:
                began = time.perf_counter()
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return steps * self.case.batch / (time.perf_counter() - began)


class Lightning:
    """Lightning's default trainer on the same loader, without logs and checkpoints."""

    def __init__(self, case: Case) -> None:
        import logging

        import lightning

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="lightning")

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.network = case.network()

            def training_step(self, batch, number: int) -> Tensor:
                if number == 2:
                    self.began = time.perf_counter()
                x, y = batch
                return F.cross_entropy(self.network(x), y)

            def on_train_epoch_end(self) -> None:
                self.seconds = time.perf_counter() - self.began

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return torch.optim.Adam(self.parameters(), lr=1e-4)

        self.case, self.module, self.lightning = case, Module(), lightning

    def images_per_second(self, steps: int) -> float:
        trainer = self.lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(self.module, loader(self.case, steps + 2))
        return steps * self.case.batch / self.module.seconds
