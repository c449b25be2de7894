"""Classes and action units of each data set, in column order, and the published subjects of each cross-validation part.

Subjects are in the order of the lists of JAA-Net and ME-GraphAU, which agree. JAA-Net names the parts, ME-GraphAU
numbers folds (its fold 1 is tested on part 3); here a fold has the name of its test part. Nobody has published parts of
CREMA-D's actors: those here are this project's, men and women each in the order of the SHA-256 of "cremad parts 1001"
and so on, dealt out to the three parts in turn.
"""

from __future__ import annotations

FER2013_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FERPLUS_CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
RAFDB_CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
AFFECTNET_CLASSES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
CREMAD_CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")

BP4D_AUS = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
DISFA_AUS = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")
EMOTIONET_AUS = ("AU1", "AU2", "AU4", "AU5", "AU6", "AU9", "AU12", "AU17", "AU20", "AU25", "AU26", "AU43")

BP4D_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (part, tuple(subjects.split()))
    for part, subjects in (
        ("part1", "F001 M007 F018 F008 F002 M004 F010 F009 M012 M001 F016 M014 F023 M008"),
        ("part2", "M011 F003 M010 M002 F005 F022 M018 M017 F013 M016 F020 F011 M013 M005"),
        ("part3", "F007 F015 F006 F019 M006 M009 F012 M003 F004 F021 F017 M015 F014"),
    )
)
DISFA_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (part, tuple(subjects.split()))
    for part, subjects in (
        ("part1", "SN002 SN010 SN001 SN026 SN027 SN032 SN030 SN009 SN016"),
        ("part2", "SN013 SN018 SN011 SN028 SN012 SN006 SN031 SN021 SN024"),
        ("part3", "SN003 SN029 SN023 SN025 SN008 SN005 SN007 SN017 SN004"),
    )
)
CREMAD_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (part, tuple(subjects.split()))
    for part, subjects in (
        (
            "part1",
            "1003 1004 1006 1009 1011 1017 1018 1021 1022 1025 1031 1033 1035 1039 1042 1045 "
            "1048 1049 1051 1054 1055 1056 1057 1061 1064 1066 1074 1079 1080 1081 1089",
        ),
        (
            "part2",
            "1001 1005 1008 1010 1016 1024 1026 1028 1030 1032 1038 1040 1043 1046 1047 "
            "1050 1052 1053 1058 1059 1062 1067 1068 1069 1072 1077 1084 1087 1088 1091",
        ),
        (
            "part3",
            "1002 1007 1012 1013 1014 1015 1019 1020 1023 1027 1029 1034 1036 1037 1041 "
            "1044 1060 1063 1065 1070 1071 1073 1075 1076 1078 1082 1083 1085 1086 1090",
        ),
    )
)
