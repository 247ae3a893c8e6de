/* The engine in double. */
#define REAL double
#define IS_FLOAT 0

#include "engine.h"
