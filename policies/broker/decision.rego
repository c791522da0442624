# METADATA
# title: May this workload have this key
# description: >-
#   The decision of the broker. Every rule below `trustkit.broker.rules` is heard, so none can be
#   left out by forgetting to list it, and none can allow: rules only object.
package trustkit.broker

# METADATA
# entrypoint: true
default decision := {
	"allowed": false,
	"violations": [{
		"code": "no-decision",
		"message": "the rules gave no decision",
		"remedy": "report this; until it is mended, nothing is allowed",
	}],
}

decision := {"allowed": count(violations) == 0, "violations": violations}

# Each once, and in order where OPA walks sets in order; the built-in `sort` would cost compiled rules
# the square of the number, which an object with a thousand models could make them pay.
violations := [violation | some violation in objections]

objections contains violation if {
	some name
	some violation in data.trustkit.broker.rules[name].violation
}
