-- Removes the staged table when its rows were brought in another way.
-- Names: staged. Run by: the load, inside its transaction.
DROP TABLE {staging}.{staged}
