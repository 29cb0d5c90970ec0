"""Athena over the ledger: a table whose partitions need no crawler, a workgroup, and saved queries."""

from pathlib import Path

from aws_cdk import Aws, Fn
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.evidence_buckets import LEDGER, QUERY_RESULTS
from infra.evidence_names import named, prefix
from infra.settings import Settings

FOLDER = Path(__file__).parent / "queries"

TABLE = "evaluations"

FIRST_DAY = "2026-01-01"
"""Before it no ledger was written anywhere."""

COLUMNS: tuple[tuple[str, str], ...] = (
    ("id", "string"),
    ("kind", "string"),
    ("source", "string"),
    ("account", "string"),
    ("region", "string"),
    ("resourcetype", "string"),
    ("resourceid", "string"),
    ("resourcearn", "string"),
    ("compliancetype", "string"),
    ("reason", "string"),
    ("annotation", "string"),
    ("orderingtimestamp", "string"),
    ("evaluatedat", "string"),
    ("rule", "struct<name:string,arn:string,rolecallversion:string>"),
    ("profilearn", "string"),
    (
        "exemption",
        "struct<state:string,problem:string,reason:string,approvedby:string,ticket:string,granted:string,expires:string>",
    ),
    (
        "instance",
        "struct<state:string,type:string,imageid:string,firstlaunch:string,lastlaunch:string,vpcid:string,subnetid:string>",
    ),
)
"""Of the evaluation record. The serializer reads names without regard to case, and would do so to the keys of maps:
tags and rule parameters are left out, as a table that misspells them is worse than none."""


class LedgerQueries(Construct):
    """Database, table, workgroup and the files of `infra/queries`."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, bucket: s3.Bucket) -> None:
        super().__init__(scope, construct_id)
        self.database_name = f"{prefix(settings)}_evidence".replace("-", "_").lower()
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.database_name, description="The ledger of rolecall"
            ),
        )
        table = self._table(bucket)
        table.add_resource_dependency(database)
        workgroup = self._workgroup(settings, bucket)
        for query in saved_queries():
            named_query = athena.CfnNamedQuery(
                self,
                "".join(part.title() for part in query.stem.split("_")),
                name=query.stem.replace("_", " "),
                description=description(query),
                database=self.database_name,
                work_group=workgroup.name,
                query_string=query.read_text(encoding="utf-8"),
            )
            named_query.add_resource_dependency(workgroup)
            named_query.add_resource_dependency(table)

    def _table(self, bucket: s3.Bucket) -> glue.CfnTable:
        location = Fn.join("", ["s3://", bucket.bucket_name, f"/{LEDGER}"])
        return glue.CfnTable(
            self,
            "Table",
            catalog_id=Aws.ACCOUNT_ID,
            database_name=self.database_name,
            table_input=glue.CfnTable.TableInputProperty(
                name=TABLE,
                description="Evaluation records of kind verdict; delivery is at least once: count distinct ids",
                table_type="EXTERNAL_TABLE",
                partition_keys=[glue.CfnTable.ColumnProperty(name="dt", type="string", comment="day of arrival, UTC")],
                parameters={
                    "classification": "json",
                    "projection.enabled": "true",
                    "projection.dt.type": "date",
                    "projection.dt.format": "yyyy-MM-dd",
                    "projection.dt.interval": "1",
                    "projection.dt.interval.unit": "DAYS",
                    "projection.dt.range": f"{FIRST_DAY},NOW",
                    "storage.location.template": f"{location}dt=${{dt}}/",
                },
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[glue.CfnTable.ColumnProperty(name=name, type=kind) for name, kind in COLUMNS],
                    location=location,
                    input_format="org.apache.hadoop.mapred.TextInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.openx.data.jsonserde.JsonSerDe"
                    ),
                ),
            ),
        )

    def _workgroup(self, settings: Settings, bucket: s3.Bucket) -> athena.CfnWorkGroup:
        group = athena.CfnWorkGroup
        return group(
            self,
            "WorkGroup",
            name=named(settings, "queries"),
            description="Queries over the ledger of rolecall",
            # Saved queries and history go with it; results are in the bucket.
            recursive_delete_option=True,
            work_group_configuration=group.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=group.EngineVersionProperty(selected_engine_version="Athena engine version 3"),
                result_configuration=group.ResultConfigurationProperty(
                    output_location=Fn.join("", ["s3://", bucket.bucket_name, f"/{QUERY_RESULTS}"]),
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                    encryption_configuration=group.EncryptionConfigurationProperty(encryption_option="SSE_S3"),
                ),
            ),
        )


def saved_queries() -> list[Path]:
    """The files, each one query."""
    return sorted(FOLDER.glob("*.sql"))


def description(query: Path) -> str:
    """What stands in the comment at its top, as one line."""
    lines = query.read_text(encoding="utf-8").splitlines()
    top = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    return " ".join(top)
