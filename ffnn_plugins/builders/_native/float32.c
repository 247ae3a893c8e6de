/* The engine in float. */
#define REAL float
#define IS_FLOAT 1

#include "engine.h"
