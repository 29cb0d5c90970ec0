-- Open episodes: the instances that are NON_COMPLIANT as of their newest verdict, since when without a break, and
-- whether they were so from their first verdict on (launched without a role) or lost it later.
WITH delivered AS (
    SELECT
        account, region, resourceid, compliancetype, reason, annotation, orderingtimestamp, evaluatedat,
        instance.firstlaunch AS first_launch,
        row_number() OVER (PARTITION BY id ORDER BY evaluatedat) AS delivery
    FROM evaluations
    WHERE kind = 'verdict'
),
ordered AS (
    SELECT
        delivered.*,
        lag(compliancetype) OVER (
            PARTITION BY account, region, resourceid ORDER BY orderingtimestamp, evaluatedat
        ) AS before,
        row_number() OVER (
            PARTITION BY account, region, resourceid ORDER BY orderingtimestamp DESC, evaluatedat DESC
        ) AS age
    FROM delivered
    WHERE delivery = 1
),
opened AS (
    SELECT
        account, region, resourceid,
        max(orderingtimestamp) AS open_since,
        min(CASE WHEN before IS NULL THEN orderingtimestamp END) AS opened_by_first_verdict
    FROM ordered
    WHERE compliancetype = 'NON_COMPLIANT' AND (before IS NULL OR before <> 'NON_COMPLIANT')
    GROUP BY account, region, resourceid
)
SELECT
    ordered.account, ordered.region, ordered.resourceid, ordered.reason, opened.open_since, ordered.first_launch,
    CASE WHEN opened.open_since = opened.opened_by_first_verdict THEN 'launched without' ELSE 'lost later' END AS how,
    ordered.annotation
FROM ordered
JOIN opened
    ON opened.account = ordered.account AND opened.region = ordered.region AND opened.resourceid = ordered.resourceid
WHERE ordered.age = 1 AND ordered.compliancetype = 'NON_COMPLIANT'
ORDER BY opened.open_since, ordered.account, ordered.region, ordered.resourceid
