"""One volume on disk, of any format, as a source of voxels in HU that knows its place, or the reason why it is refused."""
