# Rules that do what rules must not: one entry point for each way of not giving a decision.
package odd

# Answers with whatever the facts tell it to.
echo := input.answer

# Answers with the data of its bundle.
given := data.given

undefined if {
	input.nothing.of.this.name
}

# Two values for one rule.
conflict := 1 if {
	input.x
}

conflict := 2 if {
	input.y
}

# Minutes of work, and no memory.
slow if {
	some a in input.list
	some b in input.list
	some c in input.list
	a < b
	b < c
	c < a
}

# More than an instance may have.
memory := count(numbers.range(1, 20000000))

# An answer that is larger than what is read.
large := [text |
	some _ in numbers.range(1, 3000)
	text := input.text
]
