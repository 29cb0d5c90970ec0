-- Exemptions in force at the end of the day that is the parameter ('2026-11-24'): who declared what, and for how many
-- more days. Approver and reason are as the tags declare them; nothing here has verified them.
WITH asked AS (
    SELECT CAST(CAST(? AS date) AS varchar) AS day
),
delivered AS (
    SELECT
        account, region, resourceid, reason, exemption, orderingtimestamp, evaluatedat,
        row_number() OVER (PARTITION BY id ORDER BY evaluatedat) AS delivery
    FROM evaluations
    WHERE kind = 'verdict'
),
stood AS (
    SELECT
        account, region, resourceid, reason, exemption, day,
        row_number() OVER (
            PARTITION BY account, region, resourceid ORDER BY orderingtimestamp DESC, evaluatedat DESC
        ) AS age
    FROM delivered
    CROSS JOIN asked
    WHERE delivery = 1 AND substr(orderingtimestamp, 1, 10) <= day
)
SELECT
    account, region, resourceid,
    exemption.reason AS declared_reason,
    exemption.approvedby AS declared_approver,
    exemption.ticket AS ticket,
    exemption.granted AS granted,
    exemption.expires AS expires,
    date_diff('day', CAST(day AS date), CAST(exemption.expires AS date)) AS days_left
FROM stood
WHERE age = 1 AND reason = 'EXEMPT' AND (exemption.expires IS NULL OR exemption.expires >= day)
ORDER BY exemption.expires NULLS LAST, account, region, resourceid
