CAPTION = ""
ALT = ""


def draw(results):
    return None
