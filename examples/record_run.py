"""Train a small network to draw a Lissajous curve, and record the run with the real wandb client.

The recorded log is what `make run` exports. The training is real: a perceptron with two hidden layers, written in
numpy, learns `t -> (sin(3t + pi/4), sin(4t))` from noisy points, with Adam, gradient clipping and a learning rate that
warms up and decays. What it logs covers what histories hold in practice:

* floats and ints on every step, a flag and a list, nested mappings, text;
* `turns/error`, the error where the curve turns slowly: it is NaN for a batch that has no such point;
* validation every 50 steps; the first has no earlier best to compare with, so its `previous_best` is Infinity;
* histograms of weights and residuals every 250 steps.

Recording needs no network and no account, and the log holds no data of the machine that recorded it:

    python examples/record_run.py --help
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RUN_ID = "lissajous"
LAYER_NAMES = ("hidden1", "hidden2", "output")
DEFAULT_OUTPUT = Path(__file__).resolve().parent / "lissajous-regression.wandb"


@dataclass(frozen=True)
class Plan:
    """The parameters of the training, which are the run's config.

    Attributes:
        steps: Batches to train on.
        seed: Seed of the data, the first weights and the batches.
        batch_size: Points in a batch.
        hidden: Units in each hidden layer.
        peak_learning_rate: Learning rate at the end of the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        clip_norm: Largest gradient norm that is applied; a longer gradient is scaled down to it.
        training_points: Noisy points to train on.
        validation_points: Points held back, without noise.
        noise: Standard deviation of the noise.
        slow_speed: Points where the curve moves slower than this belong to a turn.
        validate_every: Steps between validations.
        histogram_every: Steps between histograms.
    """

    steps: int
    seed: int
    batch_size: int = 32
    hidden: int = 32
    peak_learning_rate: float = 0.01
    warmup_steps: int = 200
    clip_norm: float = 1.0
    training_points: int = 4096
    validation_points: int = 512
    noise: float = 0.05
    slow_speed: float = 1.2
    validate_every: int = 50
    histogram_every: int = 250

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of `step`: a linear warm-up, then half a cosine down to zero."""
        if step < self.warmup_steps:
            return self.peak_learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.peak_learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Points:
    """Points of the curve: the network's inputs, the targets, and the speed of the curve there."""

    inputs: Array
    targets: Array
    speeds: Array

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: NDArray[np.int64]) -> Points:
        """Return the points at `indices`."""
        return Points(self.inputs[indices], self.targets[indices], self.speeds[indices])


def draw_points(count: int, noise: float, random: np.random.Generator) -> Points:
    """Draw points of the Lissajous curve.

    Args:
        count: Number of points.
        noise: Standard deviation of the noise on the targets.
        random: Source of randomness.

    Returns:
        The points; inputs are `(sin t, cos t)`, so that the curve closes.
    """
    t = random.uniform(0.0, 2.0 * math.pi, count)
    curve = np.stack([np.sin(3.0 * t + math.pi / 4.0), np.sin(4.0 * t)], axis=1)
    speeds = np.hypot(3.0 * np.cos(3.0 * t + math.pi / 4.0), 4.0 * np.cos(4.0 * t))
    return Points(np.stack([np.sin(t), np.cos(t)], axis=1), curve + random.normal(0.0, noise, curve.shape), speeds)


@dataclass
class Network:
    """A perceptron with tanh layers, trained by Adam.

    Attributes:
        weights: One matrix for each layer, inputs by units.
        biases: One vector for each layer.
        updates: Updates made so far.
    """

    weights: list[Array]
    biases: list[Array]
    updates: int = 0
    _first_moments: list[Array] = field(default_factory=list)
    _second_moments: list[Array] = field(default_factory=list)

    @classmethod
    def with_random_weights(cls, widths: tuple[int, ...], random: np.random.Generator) -> Network:
        """Return a network whose layers have `widths` units, the inputs first, with Glorot's initial weights."""
        weights = [
            random.normal(0.0, math.sqrt(2.0 / (fan_in + fan_out)), (fan_in, fan_out))
            for fan_in, fan_out in itertools.pairwise(widths)
        ]
        return cls(weights, [np.zeros(width) for width in widths[1:]])

    def activations(self, inputs: Array) -> list[Array]:
        """Return the inputs and the outputs of every layer."""
        layers = [inputs]
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums = layers[-1] @ weight + bias
            layers.append(sums if index == last else np.tanh(sums))
        return layers

    def predict(self, inputs: Array) -> Array:
        """Return the network's outputs for `inputs`."""
        return self.activations(inputs)[-1]

    def gradients(self, layers: list[Array], targets: Array) -> tuple[list[Array], list[Array]]:
        """Return the gradients of the mean squared error, for the weights and for the biases."""
        error = 2.0 * (layers[-1] - targets) / targets.size
        weight_gradients: list[Array] = []
        bias_gradients: list[Array] = []
        for index in reversed(range(len(self.weights))):
            weight_gradients.insert(0, layers[index].T @ error)
            bias_gradients.insert(0, error.sum(axis=0))
            error = (error @ self.weights[index].T) * (1.0 - layers[index] ** 2)
        return weight_gradients, bias_gradients

    def update(self, gradients: list[Array], learning_rate: float) -> None:
        """Move weights and biases by one step of Adam; `gradients` are those of the weights, then of the biases."""
        parameters = self.weights + self.biases
        if not self._first_moments:
            self._first_moments = [np.zeros_like(parameter) for parameter in parameters]
            self._second_moments = [np.zeros_like(parameter) for parameter in parameters]
        self.updates += 1
        first_bias, second_bias = 1.0 - 0.9**self.updates, 1.0 - 0.999**self.updates
        for parameter, gradient, first, second in zip(
            parameters, gradients, self._first_moments, self._second_moments, strict=True
        ):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            parameter -= learning_rate * (first / first_bias) / (np.sqrt(second / second_bias) + 1e-8)


def norm(arrays: list[Array]) -> float:
    """Return the Euclidean norm of all `arrays` together."""
    return math.sqrt(sum(float(np.vdot(array, array)) for array in arrays))


def train_on_batch(network: Network, batch: Points, learning_rate: float, plan: Plan) -> dict[str, Any]:
    """Update `network` with one batch and return the metrics to log."""
    layers = network.activations(batch.inputs)
    errors = np.sum((layers[-1] - batch.targets) ** 2, axis=1)
    weight_gradients, bias_gradients = network.gradients(layers, batch.targets)
    gradients = weight_gradients + bias_gradients
    length = norm(gradients)
    clipped = length > plan.clip_norm
    if clipped:
        gradients = [gradient * (plan.clip_norm / length) for gradient in gradients]
    network.update(gradients, learning_rate)
    slow = batch.speeds < plan.slow_speed
    return {
        "loss": float(errors.mean() / 2.0),
        "learning_rate": learning_rate,
        "gradient": {
            "norm": length,
            "clipped": clipped,
            "layers": {
                name: norm([weight_gradients[index], bias_gradients[index]]) for index, name in enumerate(LAYER_NAMES)
            },
        },
        "turns/points": int(slow.sum()),
        # The mean of no points is not zero: a batch without a turn has no such error.
        "turns/error": float(errors[slow].mean()) if slow.any() else math.nan,
    }


def validate(network: Network, points: Points, best_loss: float) -> dict[str, Any]:
    """Return the validation metrics of `network`; `best_loss` is the lowest loss of the validations before."""
    residuals = network.predict(points.inputs) - points.targets
    distances = np.hypot(residuals[:, 0], residuals[:, 1])
    loss = float(np.mean(residuals**2))
    explained = 1.0 - np.sum(residuals**2, axis=0) / np.sum((points.targets - points.targets.mean(axis=0)) ** 2, axis=0)
    return {
        "loss": loss,
        "r2": {"x": float(explained[0]), "y": float(explained[1])},
        "distance_quartiles": [float(value) for value in np.quantile(distances, [0.25, 0.5, 0.75, 1.0])],
        "previous_best": best_loss,
        "improved": loss < best_loss,
    }


def describe_best(loss: float, previous_best: float) -> str:
    """Return a note, in words, about a validation loss that is the lowest so far."""
    if math.isinf(previous_best):
        return f"first validation: loss {loss:.4g}"
    return f"best so far: loss {previous_best:.4g} → {loss:.4g}, {1.0 - loss / previous_best:.1%} less"


def histograms(wandb: Any, network: Network, points: Points) -> dict[str, Any]:
    """Return histograms of the weights of every layer and of the residuals."""
    residuals = network.predict(points.inputs) - points.targets
    return {
        "weights": {
            name: wandb.Histogram(weight, num_bins=24)
            for name, weight in zip(LAYER_NAMES, network.weights, strict=True)
        },
        "residuals": wandb.Histogram(residuals, num_bins=32),
    }


def train(wandb: Any, run: Any, plan: Plan) -> None:
    """Train a network by `plan` and log every step to `run`."""
    random = np.random.default_rng(plan.seed)
    training = draw_points(plan.training_points, plan.noise, random)
    validation = draw_points(plan.validation_points, 0.0, random)
    network = Network.with_random_weights((2, plan.hidden, plan.hidden, 2), random)
    best_loss = math.inf
    for step in range(plan.steps):
        batch = training.take(random.integers(0, len(training), plan.batch_size))
        row = train_on_batch(network, batch, plan.learning_rate(step), plan)
        row["examples"] = (step + 1) * plan.batch_size
        row["phase"] = "warm-up" if step < plan.warmup_steps else "decay"
        if (step + 1) % plan.validate_every == 0:
            row["validation"] = validate(network, validation, best_loss)
            if row["validation"]["improved"]:
                row["note"] = describe_best(row["validation"]["loss"], best_loss)
                best_loss = row["validation"]["loss"]
        if step % plan.histogram_every == 0:
            row.update(histograms(wandb, network, validation))
        run.log(row)
    run.summary["best_validation_loss"] = best_loss


def record(plan: Plan, output: Path, run_id: str = RUN_ID, display_name: str = "lissajous regression") -> None:
    """Train offline with the wandb client and move the recorded log to `output`.

    Args:
        plan: The training; also the run's config.
        output: Where the log goes; a file there is replaced.
        run_id: The run's id.
        display_name: The run's display name.
    """
    with tempfile.TemporaryDirectory(prefix="record-run-") as workspace:
        # wandb reads its environment at import: first point all its folders at the temporary folder, and remove every
        # setting and key of the user.
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            del os.environ[name]
        for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            os.environ[name] = workspace
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        import wandb

        run = wandb.init(
            dir=workspace,
            entity="histscan",
            project="examples",
            id=run_id,
            name=display_name,
            config=dict(vars(plan)),
            settings=wandb.Settings(
                mode="offline",
                silent=True,
                console="off",
                disable_code=True,
                disable_git=True,
                email="nobody@example.com",
                host="example",
                program="record_run.py",
                username="nobody",
                x_disable_machine_info=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        train(wandb, run, plan)
        log = Path(run.dir).parent / f"run-{run_id}.wandb"
        run.finish()
        # `finish` can return before the service has flushed the last block of the log; the teardown waits for it.
        wandb.teardown()
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, output)


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description="Train a small network on a Lissajous curve and record the run with the wandb client, offline.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=5000, help="batches to train on; each is a row of the history")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="path of the recorded log")
    parser.add_argument("--seed", type=int, default=7, help="seed of the data, the first weights and the batches")
    parser.add_argument(
        "--learning-rate", type=float, default=Plan.peak_learning_rate, help="its highest learning rate"
    )
    parser.add_argument("--id", default=RUN_ID, help="the run's id")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    return arguments


def main() -> None:
    """Record a run with the options of the command line."""
    arguments = parse_arguments()
    plan = Plan(steps=arguments.steps, seed=arguments.seed, peak_learning_rate=arguments.learning_rate)
    name = "lissajous regression" if arguments.id == RUN_ID else arguments.id
    record(plan, arguments.output, arguments.id, name)
    size = arguments.output.stat().st_size
    print(f"recorded {arguments.steps:,} steps in {arguments.output} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
