"""ECG-QTDB: naming the wave of a heartbeat at every time step, from level-crossing spikes.

**Task.** Electrocardiograms of the QT database as Yin, Corradi and Bohte (2020, 2021)
published them: 618 training and 141 test records of 1301 steps. At every step the network says in
which of six parts of the heartbeat it is: P, PQ, QR, RS, ST or TP.

**Input.** Four channels of events, at which the signal crosses a level; 7 to 9 % of the steps of a
channel have one. The values are 0 and 1, apart from a single -1 at the last step of channel 0 in
every record. They are used as they are.

**Targets.** About a tenth of the steps carry no label in the files. Here they have the target
`IGNORE`, which torch's losses skip. The published accuracy counts them as class P;
`published_score` does so too.

**Split.** The files have no validation part. It is a share of the training records, whole records
and never frames of one. The files do not say which records come from one patient, so the two parts
may share patients.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srnn.datasets._base import IGNORE, DataError, Info, SequenceDataset, Splits
from srnn.datasets._draws import hold_out
from srnn.datasets.files import fetch

ECG_FILES = {
    "QTDB_train.mat": "39790ebc28587c94a2245fae7475e6f2",
    "QTDB_test.mat": "4deb6d02f9dae171ad99f2b372926cc0",
}
"""The published files and the md5 of each."""

_REPOSITORY = "byin-cwi/Efficient-spiking-networks"
_RAW = f"https://raw.githubusercontent.com/{_REPOSITORY}"
_URLS = {
    "QTDB_train.mat": f"{_RAW}/1331f6c052e73d48eb71a1dc62239948e874ecb2/data/QTDB_train.mat",
    "QTDB_test.mat": f"{_RAW}/25a29e8d1ebfef6df6a7689d76000f702a21e8d7/NMI_vis/ecg/QTDB_test.mat",
}
_STEPS = 1301
_CHANNELS = 4
_CLASSES = ("P", "PQ", "QR", "RS", "ST", "TP")
_SPLIT_SEED = 618
_FIRST_SCORED_STEP = 10


class EcgRecords(SequenceDataset):
    """Records of level-crossing events with a target at every step.

    Args:
        info: What the dataset is.
        events: [records, 1301, 4] int8, in {-1, 0, 1}.
        targets: [records, 1301] int8, a class or `IGNORE`.
    """

    def __init__(
        self, info: Info, events: npt.NDArray[np.int8], targets: npt.NDArray[np.int8]
    ) -> None:
        super().__init__(info)
        self._events = torch.tensor(events)
        self._targets = torch.tensor(targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs [1301, batch, 4] float32, targets [1301, batch] int64."""
        chosen = torch.as_tensor(indices)
        inputs = self._events[chosen].transpose(0, 1).contiguous().float()
        return inputs, self._targets[chosen].T.contiguous().long()


def ecg(root: Path, *, validation: float = 0.15) -> Splits:
    """ECG-QTDB: 1301 steps, four channels, six classes, a target at every step.

    Args:
        root: Data root; the files lie in its folder ``ecg``.
        validation: Share of the training records that is kept for validation.

    Raises:
        DataError: The share has no meaning, SciPy is not installed, or a file is missing, damaged
            or not the published one.
    """
    events, targets = _read(root / "ecg", "QTDB_train.mat")
    train, valid = hold_out(len(targets), validation, _SPLIT_SEED)
    info = Info(
        name="ecg",
        title="ECG-QTDB, the parts of a heartbeat",
        channels=_CHANNELS,
        steps=_STEPS,
        classes=_CLASSES,
        streaming=True,
        split=f"{len(train)} records to train and {len(valid)} to validate, drawn at random with a "
        "fixed seed from the published training records (they may share patients); the published "
        "test records are read once, at the end",
        encoding="level crossings as published",
        licence=f"MIT ({_REPOSITORY}); that of the recordings was not available to us",
        citation="Yin, Corradi and Bohte, Accurate and efficient time-domain classification with "
        "adaptive spiking recurrent neural networks, Nature Machine Intelligence 3, 2021; "
        "recordings: Laguna et al., A database for evaluation of algorithms for measurement of QT "
        "and other waveform intervals in the ECG, Computers in Cardiology 24, 1997",
        source=f"https://github.com/{_REPOSITORY}",
    )
    return Splits(
        info,
        EcgRecords(info, events[train], targets[train]),
        EcgRecords(info, events[valid], targets[valid]),
        lambda: EcgRecords(info, *_read(root / "ecg", "QTDB_test.mat")),
    )


def published_score(predictions: Tensor, targets: Tensor) -> tuple[int, int]:
    """Count the right frames the way the published accuracy does.

    The first ten frames of a record are left out, and unlabelled frames count as class 0, P: the
    published evaluation takes the argmax of a one-hot label, which is 0 where the label is empty.

    Args:
        predictions: Predicted classes, [time, batch].
        targets: True classes or `IGNORE`, [time, batch].

    Returns:
        The number of right frames and the number of scored frames.

    Raises:
        DataError: The two are not of one shape [time, batch].
    """
    if predictions.ndim != 2 or predictions.shape != targets.shape:
        raise DataError(
            "predictions and targets must have one shape [time, batch], not "
            f"{list(predictions.shape)} and {list(targets.shape)}."
        )
    scored = targets.where(targets != IGNORE, 0)[_FIRST_SCORED_STEP:]
    correct = (predictions[_FIRST_SCORED_STEP:] == scored).sum()
    return int(correct), scored.numel()


def _read(folder: Path, name: str) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Read the events [records, 1301, 4] and targets [records, 1301] of a published file."""
    return read_records(fetch(folder / name, [_URLS[name]], ECG_FILES[name]))


def read_records(path: Path) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Read a MATLAB file of records and check its structure.

    Args:
        path: A file with `x` [records, 1301, 4] in {-1, 0, 1} and `y` [records, 1301, 6], one-hot
            or empty.

    Returns:
        Events [records, 1301, 4] and targets [records, 1301], a class or `IGNORE`.

    Raises:
        DataError: SciPy is not installed, or the file cannot be read or holds something else.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError('Reading the ECG files needs SciPy: pip install "srnn[train]".') from error
    try:
        content = loadmat(path, variable_names=("x", "y"))
    except Exception as error:  # on a damaged file SciPy raises whatever its parser stumbles over
        raise DataError(f"{path} cannot be read as a MATLAB file ({error}): replace it.") from error

    for key, channels in (("x", _CHANNELS), ("y", len(_CLASSES))):
        if key not in content:
            raise DataError(f"{path} has no array {key!r}: replace it by the published file.")
        if content[key].ndim != 3 or content[key].shape[1:] != (_STEPS, channels):
            raise DataError(
                f"{path} has an array {key!r} of shape {content[key].shape}, "
                f"expected (records, {_STEPS}, {channels})."
            )
    x, y = content["x"], content["y"]
    if len(x) != len(y):
        raise DataError(f"{path} has {len(x)} records of events and {len(y)} of labels.")
    if not np.isin(x, (-1, 0, 1)).all():
        raise DataError(f"{path} has events other than -1, 0 and 1.")
    if not np.isin(y, (0, 1)).all() or (y.sum(axis=2) > 1).any():
        raise DataError(f"{path} has labels that are neither one-hot nor empty.")
    targets = np.where(y.any(axis=2), y.argmax(axis=2), IGNORE)
    return x.astype(np.int8), targets.astype(np.int8)
