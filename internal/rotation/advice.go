package rotation

import "strings"

// What an operator is told to do. <secret> and <version> stand for those of
// the invocation.
const (
	rotateAgain = "aws secretsmanager rotate-secret --secret-id <secret> (that it answers \"A previous rotation isn't complete\" is good: it then takes that one up)"

	dropPending = "aws secretsmanager update-secret-version-stage --secret-id <secret> --version-stage AWSPENDING --remove-from-version-id <version>"

	putValue = "aws secretsmanager put-secret-value --secret-id <secret> --secret-string file://value (where the secret is a JSON object, the file has to hold the whole object)"

	newToken = "If RECOVERY_RECIPIENT is set, look in the log for a value sealed for version <version>, or since AWSCURRENT was made, and restore it as the runbook says, under \"Restore a sealed token\". Otherwise create an API token in the Panther console and put it, which also ends this rotation: " + putValue

	doLetSecretsManager = "The function is meant to be invoked by Secrets Manager: " + rotateAgain + ". If a rotation was begun with such a ClientRequestToken, first take AWSPENDING off that version, if it is empty."

	doStartRotation = "To start a rotation, which also turns rotation on where it is off: " + rotateAgain

	doRotateIfDead = "Secrets Manager repeats the rotation. If the AWSCURRENT token stays dead, the next rotation finds the living one: " + rotateAgain

	doCheckStore = "Secrets Manager repeats the rotation. If it stays: check the function's role (DescribeSecret, GetSecretValue, PutSecretValue, UpdateSecretVersionStage, ListSecretVersionIds, and kms:Decrypt and kms:GenerateDataKey for a customer managed key) and its network path to Secrets Manager."

	doMendValue = "Nothing was rotated. Put a usable value, either the token alone or a JSON object with the token under the key that SECRET_TOKEN_KEY names: " + putValue

	doMendPending = "Do not remove AWSPENDING: this version may hold the only living token, in a form that this function does not take. Was SECRET_TOKEN_KEY changed since the rotation began? To see the keys, not the values, of a JSON object: aws secretsmanager get-secret-value --secret-id <secret> --version-id <version> --query SecretString --output text | jq 'objects | keys'"

	doRaiseTimeout = "Nothing was rotated. Raise the function's Timeout (240 seconds leave room for everything)."

	doMendEndpoint = "Set PANTHER_API_URL to the API URL that the Panther console shows under Settings > API Tokens, such as https://api.acme.runpanther.net/public/graphql. Then: " + rotateAgain

	doWait = "This attempt did not rotate the token; Secrets Manager repeats the rotation. If it stays: check that the function can reach PANTHER_API_URL (subnet route, NAT, DNS, TLS inspection)."

	doWaitOutcome = "Secrets Manager repeats the rotation, which then finds out. To find out now: " + rotateAgain

	doReplaceRefused = "If a NotStored came before, rotate again first: another process may hold the token. Check that PANTHER_API_URL is right. If the function's address may have changed, compare it with the token's allowed CIDR blocks first. Otherwise the token was deleted, expired or lost. " + newToken

	doRestoreStored = "Now: " + rotateAgain + ". Until the log says that the token is stored, do not deploy the function or change any of its settings, which would end the process that holds it. If that has ended: where RECOVERY_RECIPIENT is set, the log holds the new value, sealed; restore it as the runbook says, under \"Restore a sealed token\"."

	// stillHeld goes before any other advice while a token is not stored.
	stillHeld = "This process still holds a token of the secret that it could not store: do not deploy the function or change any of its settings until it has. "

	doDropPending = "Wait some minutes and rotate again, in case the new token only needs longer: " + rotateAgain + ". If it stays so, keep the current token and drop the dead one: " + dropPending

	doMendTest = "Nothing was rotated, and readers have what they had. Mend what this names (the token in the secret, its CIDR blocks, PANTHER_API_URL, SECRET_TOKEN_KEY, the network path), then test again, as the runbook says under \"The deployment's test failed\"."

	doWaitForToken = "Do not remove AWSPENDING: that version may hold the only living token. If tokens take longer to start working, raise PROPAGATION_TIMEOUT and the function's Timeout; if the token's CIDR blocks do not include the function's address, add it in the Panther console. Then: " + rotateAgain + ". If Panther's console shows that the token is gone: " + newToken

	doWaitForPanther = "Do not remove AWSPENDING: that version may hold the only living token. Check that the function can reach PANTHER_API_URL (subnet route, NAT, DNS, rate limits). Then: " + rotateAgain
)

func (inv *invocation) fillIn(do string) string {
	return strings.ReplaceAll(strings.ReplaceAll(do, "<secret>", inv.secretARN), "<version>", inv.VersionID)
}
