"""The page of a run: its data model, what it concludes in words and tables, and the scripts that draw it. A recorded run and a live one make the same page."""
