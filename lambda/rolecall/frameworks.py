"""Which requirements of which frameworks the rule stands for: one table, for findings, evidence and documentation.

Frameworks renumber: CIS calls the same recommendation 1.18, 1.17, 2.17 and 2.16 in its successive benchmarks, so a
requirement is a framework, a version and an id, never an id alone. Source: the mapping that Prowler 5.46 gives to its
check `ec2_instance_profile_attached`, which asks the same question; no framework names an AWS Config rule itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of one version of a framework."""

    framework: str
    version: str
    id: str

    def __str__(self) -> str:
        """As security tools show it: `CIS AWS Foundations Benchmark v5.0.0/1.17`."""
        return f"{self.framework} {self.version}/{self.id}"


_CIS = "CIS AWS Foundations Benchmark"
_NIST_53 = "NIST SP 800-53"
_NIST_171 = "NIST SP 800-171"
_ISO = "ISO/IEC 27001"

REQUIREMENTS = (
    Requirement(_CIS, "v1.4.0", "1.18"),
    Requirement(_CIS, "v3.0.0", "1.18"),
    Requirement(_CIS, "v4.0.1", "1.18"),
    Requirement(_CIS, "v5.0.0", "1.17"),
    Requirement(_CIS, "v6.0.0", "2.17"),
    Requirement(_CIS, "v7.0.0", "2.16"),
    Requirement(_NIST_53, "r5", "AC-3"),
    Requirement(_NIST_53, "r5", "CM-5(1)(a)"),
    Requirement(_NIST_53, "r5", "CM-6(a)"),
    Requirement(_NIST_171, "r2", "3.1.1"),
    Requirement(_NIST_171, "r2", "3.1.2"),
    Requirement("PCI DSS", "v4.0", "7.2.2"),
    Requirement("PCI DSS", "v4.0", "7.2.5"),
    Requirement("PCI DSS", "v4.0", "8.2.7"),
    Requirement(_ISO, "2022", "A.8.2"),
    Requirement("CMMC", "2.0", "AC.L2-3.1.1"),
    Requirement("CIS Controls", "v8.1", "6.8"),
)
"""In the order in which they are shown. At most 32: the limit of a Security Hub finding's RelatedRequirements."""
