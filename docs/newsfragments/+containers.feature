The book has files for containers: an image of comet alone, without root, on a read-only file system; and two nodes with Redis.
