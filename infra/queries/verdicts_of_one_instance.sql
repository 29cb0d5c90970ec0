-- Verdicts of one instance over a period: the first parameter is its id ('i-0123456789abcdef0'), the second and third
-- are the first and last day ('2026-11-01') on which records arrived in the ledger, UTC. Each verdict once.
WITH delivered AS (
    SELECT
        account, region, orderingtimestamp, evaluatedat, source, compliancetype, reason, annotation, profilearn,
        rule.name AS rule_name, rule.rolecallversion AS rolecall_version, id,
        row_number() OVER (PARTITION BY id ORDER BY evaluatedat) AS delivery
    FROM evaluations
    WHERE kind = 'verdict' AND resourceid = ? AND dt BETWEEN ? AND ?
)
SELECT
    orderingtimestamp, evaluatedat, account, region, compliancetype, reason, annotation, profilearn, source,
    rule_name, rolecall_version, id
FROM delivered
WHERE delivery = 1
ORDER BY orderingtimestamp, evaluatedat
