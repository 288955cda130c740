"""How good a judge is: against people's labels, against itself, against other judges."""

from prefbench.calibration.calibrate import Calibration, calibrate_judge
from prefbench.calibration.compare import JudgeComparison, compare_judges

__all__ = ["Calibration", "JudgeComparison", "calibrate_judge", "compare_judges"]
