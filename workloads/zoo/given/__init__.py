"""Networks that a user gives by file, or by the name of another library; `kinds` knows which is which."""
