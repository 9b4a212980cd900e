// A module of its own, so that no guest gets the program.
module bulkdump/test/mutants

go 1.26.0
