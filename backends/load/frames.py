"""placeholder until the load generator lands"""


class FrameReader:
    def feed(self, data: bytes) -> list:
        return []
