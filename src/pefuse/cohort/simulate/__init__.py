"""Simulated cohorts whose truth is known: the demo, the test bed, and an instrument to measure methods with."""

from pefuse.cohort.simulate.calibration import OUTCOME, POPULATION, PopulationFigures, derive_effects, measure
from pefuse.cohort.simulate.cohort import simulate_cohort
from pefuse.cohort.simulate.config import FEWEST_SLICES, PeriodCounts, SimulationConfig
from pefuse.cohort.simulate.population import IdealRisks, Latents, OutcomeModel
from pefuse.cohort.simulate.scan import ScanRequest, write_scan

__all__ = [
    "FEWEST_SLICES",
    "OUTCOME",
    "POPULATION",
    "IdealRisks",
    "Latents",
    "OutcomeModel",
    "PeriodCounts",
    "PopulationFigures",
    "ScanRequest",
    "SimulationConfig",
    "derive_effects",
    "measure",
    "simulate_cohort",
    "write_scan",
]
