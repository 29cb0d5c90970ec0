"""What is shown for the names of kinds and age groups: the same wherever on the page they stand."""

from rolecall.evidence.episodes import Kind

OPEN_AGES = {
    "upTo1Day": "up to a day",
    "upTo7Days": "up to 7 days",
    "upTo30Days": "up to 30 days",
    "upTo90Days": "up to 90 days",
    "longer": "longer",
}

EXEMPTION_AGES = {
    "upTo30Days": "up to 30 days",
    "upTo90Days": "up to 90 days",
    "upTo180Days": "up to 180 days",
    "upTo365Days": "up to a year",
    "longer": "longer",
    "unknown": "not known",
}

KINDS = {
    Kind.LAUNCHED_WITHOUT_ROLE: "Launched without a role",
    Kind.DRIFT: "Drift",
    Kind.EXEMPTION_LAPSED: "Exemption over",
}
