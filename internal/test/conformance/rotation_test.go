package conformance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// motoHasNoFunction is where moto leaves most of these cases: it invokes no function
// but those of its own Lambda, which needs Docker. TestFunctionRotatesOnMoto does
// what can be done about it.
const motoHasNoFunction = "RotateSecret answers ResourceNotFoundException: Resource not found for ARN "

const notComplete = "A previous rotation isn't complete. That rotation will be reattempted."

func rotationIsOn(d *sdk.DescribeSecretOutput) bool { return aws.ToBool(d.RotationEnabled) }

// rotationCases are about rotations. Their sources are those of versionCases.
var rotationCases = []testCase{
	{
		name:  "RotateSecret needs a Lambda function", // recorded
		steps: []step{refused(rotate(2, withoutFunction), "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."), labels("1 AWSCURRENT")},

		motoDiffers: "RotateSecret succeeds", // and version 2, without a value, is AWSCURRENT
	},
	{
		name: "RotateSecret needs a Lambda function that it can invoke", // recorded
		steps: []step{
			refused(rotate(2, withFunctionThatIsNotThere), "AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com."),
			labels("1 AWSCURRENT"),
		},

		motoDiffers: motoHasNoFunction, // having made version 2, without a value, AWSPENDING
	},
	{
		name: "a rotation ends with AWSCURRENT alone on the new version", // recorded
		steps: []step{
			rotate(2), await("1 AWSPREVIOUS, 2 AWSCURRENT"),
			reads(0, "", newValue), reads(0, "AWSPREVIOUS", "one"),
			shows("that rotation is on", rotationIsOn),
			shows("LastRotatedDate", func(d *sdk.DescribeSecretOutput) bool { return d.LastRotatedDate != nil }),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name: "a schedule gives a rotation a next date", // docs
		steps: []step{
			rotate(2, everyMonth), await("1 AWSPREVIOUS, 2 AWSCURRENT"),
			shows("NextRotationDate", func(d *sdk.DescribeSecretOutput) bool { return d.NextRotationDate != nil }),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name: "createSecret finds AWSPENDING on a version without a value", // docs, moto's tests against AWS
		steps: []step{
			failIn("createSecret"), rotate(2), await("1 AWSCURRENT, 2 AWSPENDING"),
			refused(get(2, ""), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: 2"),
			refused(get(0, "AWSPENDING"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name: "a version without a value may be filled, once", // docs
		steps: []step{
			failIn("createSecret"), rotate(2), await("1 AWSCURRENT, 2 AWSPENDING"),
			put(2, "two", "AWSPENDING"), reads(2, "AWSPENDING", "two"), labels("1 AWSCURRENT, 2 AWSPENDING"),
			refused(put(2, "other", "AWSPENDING"), "ResourceExistsException", ""),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		// docs; message as users report it. Between goOn and rotate AWS could try
		// again by itself: then the last steps fail, and the case is to be repeated.
		name: "a rotation that failed keeps AWSPENDING, and the next RotateSecret runs it again",
		steps: []step{
			failIn("testSecret"), rotate(2), await("1 AWSCURRENT, 2 AWSPENDING"), failed(2),
			goOn("testSecret"), refused(rotate(3), "InvalidRequestException", notComplete),
			await("1 AWSPREVIOUS, 2 AWSCURRENT"), reads(0, "", newValue),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name: "a value put by hand abandons a rotation", // docs, recorded
		steps: []step{
			failIn("testSecret"), rotate(2), await("1 AWSCURRENT, 2 AWSPENDING"), failed(2),
			put(3, "by hand"), labels("1 AWSPREVIOUS, 3 AWSCURRENT"),
			goOn("testSecret"), rotate(4), await("3 AWSPREVIOUS, 4 AWSCURRENT"),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name: "AWSPENDING taken off by hand frees a secret", // docs, CancelRotateSecret
		steps: []step{
			failIn("testSecret"), rotate(2), await("1 AWSCURRENT, 2 AWSPENDING"), failed(2),
			move("AWSPENDING", 0, 2), labels("1 AWSCURRENT"),
			goOn("testSecret"), rotate(3), await("1 AWSPREVIOUS, 3 AWSCURRENT"), reads(2, "", newValue),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name: "AWSPENDING on AWSCURRENT does not hinder the next rotation", // docs
		steps: []step{
			put(2, "two", "AWSPENDING"), move("AWSCURRENT", 2, 1), labels("1 AWSPREVIOUS, 2 AWSCURRENT AWSPENDING"),
			rotate(3), await("2 AWSPREVIOUS, 3 AWSCURRENT"),
		},

		motoDiffers: "RotateSecret answers InvalidRequestException: Previous rotation request is still in progress.",
	},
	{
		// docs: "If the AWSPENDING staging label is present but not attached to the same
		// version as AWSCURRENT, then any later invocation of RotateSecret assumes that a
		// previous rotation request is still in progress and returns an error."
		name:  "AWSPENDING on another version than AWSCURRENT is a rotation in progress",
		steps: []step{put(2, "two", "AWSPENDING"), refused(rotate(3), "InvalidRequestException", "")},

		motoDiffers: motoHasNoFunction, // having taken AWSPENDING from version 2
	},
	{
		name: "RotateImmediately=false runs testSecret alone, on a copy of AWSCURRENT", // docs
		steps: []step{
			rotate(2, notImmediately, everyMonth), await("1 AWSCURRENT, 8 TESTED-A-COPY"),
			refused(get(2, ""), "ResourceNotFoundException", ""), reads(0, "", "one"),
			shows("that rotation is on", rotationIsOn),
			shows("no LastRotatedDate", func(d *sdk.DescribeSecretOutput) bool { return d.LastRotatedDate == nil }),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		name:  "CancelRotateSecret needs a rotation", // docs
		steps: []step{refused(cancel(0), "InvalidRequestException", "")},
	},
	{
		name: "CancelRotateSecret turns rotation off, and AWSPENDING stays", // docs
		steps: []step{
			failIn("testSecret"), rotate(2, everyMonth), await("1 AWSCURRENT, 2 AWSPENDING"), failed(2),
			cancel(2), labels("1 AWSCURRENT, 2 AWSPENDING"),
			shows("that rotation is off", func(d *sdk.DescribeSecretOutput) bool { return !rotationIsOn(d) }),
			shows("no NextRotationDate", func(d *sdk.DescribeSecretOutput) bool { return d.NextRotationDate == nil }),
		},

		motoDiffers: motoHasNoFunction,
	},
	{
		// The function proves before it rotates that it may write, by writing what is
		// there already.
		name: "an identical PutSecretValue of AWSCURRENT does not abandon a rotation",
		steps: []step{
			failIn("testSecret"), rotate(2), await("1 AWSCURRENT, 2 AWSPENDING"), failed(2),
			put(1, "one", "AWSCURRENT"), labels("1 AWSCURRENT, 2 AWSPENDING"),
		},
		notKnownOfAWS: true,
	},
	{
		// The function stores a token that it got twice in a version of its own.
		name: "a RotationToken is taken next to another ClientRequestToken than its rotation's",
		steps: []step{
			put(9, "asks", besideLabel), rotate(2), await("1 AWSPREVIOUS, 2 AWSCURRENT, 7 BESIDE"),
			reads(0, "", newValue), reads(7, "", "beside"),
		},
		notKnownOfAWS: true,
	},
	{
		name: "RotateSecret may be repeated",
		steps: []step{
			rotate(2), await("1 AWSPREVIOUS, 2 AWSCURRENT"),
			rotate(2), labels("1 AWSPREVIOUS, 2 AWSCURRENT"), reads(0, "", newValue),
		},
		notKnownOfAWS: true,
	},
}
