"""Word lists for options: read by `options.py`, which recombines them."""

from __future__ import annotations


def words(text: str) -> list[str]:
    """Return the words of a block."""
    return text.split()


def phrases(text: str) -> list[str]:
    """Return the phrases of a block, which are parted by | and may run over lines."""
    return text.replace("\n", "").split("|")


ADJECTIVES = words("""
quiet loud narrow crooked painted wooden silver copper distant empty crowded patient sudden slow quick tall hollow
weathered polished rough soft bright faded golden frozen warm cool dusty moonlit sunlit abandoned restored secret
familiar foreign ancient modern humble grand tiny enormous gentle fierce tangled tidy wild careful careless steep
shallow deep plain ornate striped spotted braided folded broken mended borrowed hidden open locked floating sinking
curved straight round square narrow-necked handmade half-finished well-thumbed sleepy restless cheerful solemn
stubborn clumsy graceful salty bitter sweet smoky fragrant crisp velvet woollen linen paper glass iron marble clay
""")

NOUNS = words("""
harbour lighthouse staircase orchard meadow canyon glacier library observatory theatre kitchen balcony courtyard
bridge tunnel market workshop attic cellar chapel station ferry tram bicycle canoe kite lantern mirror clock compass
map ladder basket blanket scarf coat boot ring bell drum flute cello piano accordion whistle choir waltz lullaby
ballad sonnet diary letter postcard portrait mural mosaic carpet curtain quilt teapot cup spoon bowl loaf pie soup
stew dumpling pear plum fig lemon walnut acorn fern oak willow birch pine cactus lily poppy thistle heron swallow
owl falcon otter fox hedgehog badger whale seal turtle beetle moth spider snail donkey goat comet planet nebula
volcano waterfall lagoon marsh desert dune island reef cave cliff valley village castle tower windmill barn cottage
tent hammock bench fountain statue garden maze puzzle riddle chessboard telescope microscope notebook pencil brush
""")

PLACES = phrases("""
at dawn|at dusk|at midnight|in winter|in early spring|after the rain|before a storm|under a full moon|by the sea
|near the river|on a hillside|in the old town|beside a lake|behind the church|on the top floor|under the stairs
|at the edge of a forest|in thick fog|with the windows open|by candlelight|in late autumn|on a market day|in the snow
|among tall trees|at the end of a pier|on an empty street|full of travellers|with no one in it|in the morning light
|from far away|at low tide|on a long journey|in the desert|behind a high wall|with a view of the hills|made by hand
""")

VERBS = words("""
mend paint carry study draw copy build visit collect describe follow remember repair learn teach measure photograph
restore explore arrange plant polish record rewrite translate film sketch weave carve invent design compose observe
watch borrow share hide find keep write read sing dance bake cross climb map name forget answer question
""")

OBJECTS = phrases("""
old clocks|a stone wall|a small boat|the night sky|a difficult poem|a folk song|a family recipe|a city map
|the ruins of a temple|a row of fruit trees|a forgotten language|a letter from a stranger|the history of a street
|the habits of birds|a wool blanket|a long staircase|a chess opening|a set of bells|the sound of the tide
|a room without windows|a garden for bees|a bridge of rope|a story for children|a speech for a friend|a secret code
|the rules of a new game|a museum of tools|the first page of a novel|a portrait of a neighbour|the shape of clouds
|a mountain path|the names of stars|a broken radio|a wooden flute|a theatre mask|a calendar of festivals|a quiet joke
|a proof from an old book|the causes of a war|a theory of colour|the memory of trees|a dictionary of smells
|the plot of a dream|an honest apology|a promise to a friend|the work of a stranger|a debt of gratitude
|a model of the planets|a diary of the weather|the dance of honeybees|a bowl of soup|a loaf of dark bread|a winter coat
""")

GERUNDS = words("""
mending painting carrying studying drawing copying building visiting collecting describing following remembering
repairing learning teaching measuring restoring exploring arranging planting polishing recording rewriting
translating filming sketching weaving carving inventing designing composing observing watching borrowing sharing
hiding finding keeping writing reading singing dancing baking crossing climbing mapping naming forgetting answering
""")

PLURALS = words("""
riddles stories songs portraits puzzles letters maps proofs arguments questions jokes recipes gardens harbours
bridges festivals dreams memories rivers mountains forests islands voices instruments paintings novels poems essays
theories experiments machines clocks boats trains gardens owls whales bees wolves cats horses stars comets storms
shadows colours patterns rooms windows doors markets libraries friendships promises secrets rumours debates lessons
""")

PLURAL_ADJECTIVES = words("""
short long lively quiet old new strange simple honest clever wild gentle bold careful private shared unfinished
half-remembered brightly-painted tightly-argued well-worn loosely-drawn slow-moving open-ended plain-spoken
hand-written late-night early-morning
""")

ABSTRACT = words("""
honesty kindness courage patience loyalty fairness mercy justice freedom duty gratitude humility curiosity wisdom
wonder doubt certainty beauty order chance tradition progress privacy openness silence laughter memory hope solitude
friendship ambition modesty discipline spontaneity precision imagination logic intuition evidence experience
generosity thrift forgiveness truth comfort adventure safety balance simplicity richness depth speed stillness
playfulness tact frankness humour sincerity elegance strength tenderness grace wit candour warmth trust equality
""")

MOODS = words("""
stillness longing warmth shelter wonder relief hush promise distance memory comfort patience belonging freedom
tenderness drift glow calm courage delight mischief trust hope laughter rest silence wandering gratitude light
nostalgia peace solitude home curiosity gentleness joy sorrow awe mystery rhythm welcome surprise depth ease echo
kindness salt smoke dawn dusk ember moss willow harbour lantern feather velvet honey amber river tide snow thunder
petrichor melody whisper lullaby soft bright steady honest brave slow deep golden endless sincere loyal
""")

NAMES = words("""
Juniper Pebble Marlow Saffron Tindle Bramble Clover Ember Wren Larkspur Drift Halcyon Pip Hazel Sorrel Tansy Quill
Fennel Lumen Aster Thistle Nimbus Opal Rowan Poppy Biscuit Cinder Marigold Heron Solace Vesper Acorn Willow Flint
""")

SYLLABLES = words("""
ba be bo da de do fa fi ga go ha ka ki ko la le li lo lu ma me mi mo na ne no pa pe ra re
ri ro sa se si so ta te ti to tu va ve vi vo za ze
""")
