"""MAY IT: facts, rule engines, decisions and their record."""
