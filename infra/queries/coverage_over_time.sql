-- Coverage over time: for every day from the first parameter to the second ('2026-11-01'), how many instances had
-- which verdict at its end, and the share of those judged that has a role. Instances that are gone do not count.
WITH delivered AS (
    SELECT
        account, region, resourceid, compliancetype, reason, orderingtimestamp, evaluatedat,
        row_number() OVER (PARTITION BY id ORDER BY evaluatedat) AS delivery
    FROM evaluations
    WHERE kind = 'verdict'
),
days AS (
    SELECT CAST(CAST(moment AS date) AS varchar) AS day
    FROM UNNEST(sequence(CAST(? AS date), CAST(? AS date), INTERVAL '1' DAY)) AS calendar (moment)
),
stood AS (
    SELECT
        day, compliancetype, reason,
        row_number() OVER (
            PARTITION BY day, account, region, resourceid ORDER BY orderingtimestamp DESC, evaluatedat DESC
        ) AS age
    FROM days
    JOIN delivered ON delivery = 1 AND substr(orderingtimestamp, 1, 10) <= day
),
counted AS (
    SELECT
        day,
        sum(CASE WHEN reason = 'PROFILE_ATTACHED' THEN 1 ELSE 0 END) AS with_role,
        sum(CASE WHEN reason = 'EXEMPT' THEN 1 ELSE 0 END) AS exempt,
        sum(CASE WHEN compliancetype = 'NON_COMPLIANT' THEN 1 ELSE 0 END) AS non_compliant,
        sum(CASE WHEN compliancetype = 'NOT_APPLICABLE' THEN 1 ELSE 0 END) AS not_applicable
    FROM stood
    WHERE age = 1 AND reason NOT IN ('DELETED', 'LEFT_SCOPE', 'NOT_RECORDED', 'TERMINATING')
    GROUP BY day
)
SELECT
    day, with_role, exempt, non_compliant, not_applicable,
    round(100.0 * with_role / nullif(with_role + exempt + non_compliant, 0), 1) AS percent_with_role
FROM counted
ORDER BY day
