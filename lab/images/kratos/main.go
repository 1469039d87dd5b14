package main

import (
	_ "build.greenroom.example/kratos/reach"
	"github.com/ory/kratos/cmd"
)

func main() { cmd.Execute() }
