"""The section that lays another run of the same scenario beside this one: a flight's rehearsal, or the other way round."""

from ..comparison import Comparison
from ..comparison_words import HEADER, decision_lines, deploy_lines, paired_lines, rows, sizes_line
from ..wording import moment
from .markup import note, paragraph, table
from .report_data import ReportData


def beside(data: ReportData) -> str:
    """The comparison, or how to get one."""
    if data.beside is None:
        return paragraph(
            "No other run is laid beside this one: windtunnel report FLIGHT --beside REHEARSAL does so."
        )
    return compared(data.beside)


def compared(comparison: Comparison) -> str:
    """A comparison's verdict, its figures and what it says of decisions and requests."""
    verdict = "within tolerance" if comparison.within else "outside the tolerance"
    runs = [
        (letter, run, scenario, str(seed))
        for letter, run, scenario, seed in zip(
            "AB", comparison.runs, comparison.scenarios, comparison.seeds, strict=True
        )
    ]
    window = f"Compared: the first {moment(comparison.window)} of both, in {comparison.batches} batches of time: {verdict}. Differences are B minus A, with 95% intervals."
    lines = [*deploy_lines(comparison), sizes_line(comparison), *decision_lines(comparison), *paired_lines(comparison)]  # fmt: skip
    return (
        table(("", "run", "scenario", "seed"), runs, (3,))
        + "".join(map(note, comparison.notes))
        + paragraph(window)
        + table(HEADER, rows(comparison), (1, 2))
        + "".join(
            paragraph(f"{line[:1].upper()}{line[1:]}{'' if line.endswith('.') else '.'}")
            for line in lines
            if line
        )
        + paragraph("windtunnel compare A B --out compared.html draws their curves beside each other.")
    )
